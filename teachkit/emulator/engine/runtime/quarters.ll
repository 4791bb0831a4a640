; Warps of blocks that are 8 or 16 threads wide: the lanes of each quarter follow each other in memory, or are all at one
; place, and often one half of the warp wants what the other does.

; How many bytes apart the lanes of each quarter are: `size`, or 0 where all of a quarter are at one place. Else -1.
define internal i64 @tk_step_of_quarters(ptr %addresses, i64 %size) alwaysinline {
  %address = load <32 x i64>, ptr %addresses, align 8
  %before = shufflevector <32 x i64> %address, <32 x i64> poison, <32 x i32> <i32 0, i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30>
  %gap = sub <32 x i64> %address, %before
  %step = extractelement <32 x i64> %gap, i64 1
  %step.1 = insertelement <32 x i64> poison, i64 %step, i64 0
  %step.n = shufflevector <32 x i64> %step.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %same = icmp eq <32 x i64> %gap, %step.n
  %same.bits = bitcast <32 x i1> %same to i32
  %same.inside = or i32 %same.bits, 16843009      ; a bit for the first lane of each quarter
  %alike = icmp eq i32 %same.inside, -1
  %is.size = icmp eq i64 %step, %size
  %is.none = icmp eq i64 %step, 0
  %is.known = or i1 %is.size, %is.none
  %ok = and i1 %alike, %is.known
  %result = select i1 %ok, i64 %step, i64 -1
  ret i64 %result
}

; The lanes whose values tell what those of all lanes are: all that are on, or with all on the lower half where the upper
; has the same values, or the lowest quarter.
define internal i32 @tk_without_twins(<32 x i64> %value, i32 %live) alwaysinline {
  %lower = shufflevector <32 x i64> %value, <32 x i64> poison, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %upper = shufflevector <32 x i64> %value, <32 x i64> poison, <16 x i32> <i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %half.same = icmp eq <16 x i64> %lower, %upper
  %half.bits = bitcast <16 x i1> %half.same to i16
  %halves = icmp eq i16 %half.bits, -1
  %first = shufflevector <32 x i64> %value, <32 x i64> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %second = shufflevector <32 x i64> %value, <32 x i64> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %quarter.same = icmp eq <8 x i64> %first, %second
  %quarter.bits = bitcast <8 x i1> %quarter.same to i8
  %quarters = icmp eq i8 %quarter.bits, -1
  %fewest = select i1 %quarters, i32 255, i32 65535
  %all = icmp eq i32 %live, -1
  %have.twins = and i1 %all, %halves
  %result = select i1 %have.twins, i32 %fewest, i32 %live
  ret i32 %result
}

; The lowest lane of each value, and whether they are known: where the lanes of `live` (not 0) are side by side and their
; values never go down. `apart` are lanes that count in any case.
define internal { i32, i1 } @tk_firsts_of_rising(<32 x i64> %value, i32 %live, i32 %apart) alwaysinline {
  %before = shufflevector <32 x i64> %value, <32 x i64> poison, <32 x i32> <i32 0, i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30>
  %up = icmp uge <32 x i64> %value, %before
  %up.bits = bitcast <32 x i1> %up to i32
  %new = icmp ne <32 x i64> %value, %before
  %new.bits = bitcast <32 x i1> %new to i32
  %low.lane = call i32 @llvm.cttz.i32(i32 %live, i1 true)
  %run = lshr i32 %live, %low.lane
  %run.more = add i32 %run, 1
  %run.gap = and i32 %run, %run.more
  %one.run = icmp eq i32 %run.gap, 0
  %first.bit = shl i32 1, %low.lane
  %free = or i32 %first.bit, %apart
  %off = xor i32 %live, -1
  %up.off = or i32 %up.bits, %off
  %up.all = or i32 %up.off, %free
  %rising = icmp eq i32 %up.all, -1
  %known = and i1 %rising, %one.run
  %firsts.all = or i32 %new.bits, %free
  %firsts = and i32 %firsts.all, %live
  %r.0 = insertvalue { i32, i1 } poison, i32 %firsts, 0
  %r.1 = insertvalue { i32, i1 } %r.0, i1 %known, 1
  ret { i32, i1 } %r.1
}

; Moves the words (4 or 8 bytes) of all lanes, quarter by quarter, `step` (of @tk_step_of_quarters) bytes apart in memory.
define internal void @tk_move_quarters(ptr %addresses, i64 %step, i64 %size, ptr %packed, i1 %to.memory) {
entry:
  %quarter.bytes = shl i64 %size, 3
  %is.run = icmp ne i64 %step, 0
  br label %quarter

quarter:
  %q = phi i64 [ 0, %entry ], [ %q.next, %moved ]
  %lane = shl i64 %q, 3
  %p.memory = getelementptr ptr, ptr %addresses, i64 %lane
  %memory = load ptr, ptr %p.memory
  %q.at = mul i64 %q, %quarter.bytes
  %slot = getelementptr i8, ptr %packed, i64 %q.at
  br i1 %is.run, label %run, label %place

run:
  %from = select i1 %to.memory, ptr %slot, ptr %memory
  %to = select i1 %to.memory, ptr %memory, ptr %slot
  %is.short = icmp eq i64 %size, 4
  br i1 %is.short, label %run.4, label %run.8

run.4:
  %v.4 = load <8 x i32>, ptr %from, align 4
  store <8 x i32> %v.4, ptr %to, align 4
  br label %moved

run.8:
  %v.8 = load <8 x i64>, ptr %from, align 8
  store <8 x i64> %v.8, ptr %to, align 8
  br label %moved

place:                                            ; the highest lane is what stays of several stores
  %last.at = sub i64 %quarter.bytes, %size
  %p.last = getelementptr i8, ptr %slot, i64 %last.at
  %is.4 = icmp eq i64 %size, 4
  br i1 %is.4, label %place.4, label %place.8

place.4:
  br i1 %to.memory, label %store.4, label %load.4

store.4:
  %last.4 = load i32, ptr %p.last, align 4
  store i32 %last.4, ptr %memory, align 4
  br label %moved

load.4:
  %one.4 = load i32, ptr %memory, align 4
  %one.4.1 = insertelement <8 x i32> poison, i32 %one.4, i64 0
  %one.4.n = shufflevector <8 x i32> %one.4.1, <8 x i32> poison, <8 x i32> zeroinitializer
  store <8 x i32> %one.4.n, ptr %slot, align 4
  br label %moved

place.8:
  br i1 %to.memory, label %store.8, label %load.8

store.8:
  %last.8 = load i64, ptr %p.last, align 8
  store i64 %last.8, ptr %memory, align 8
  br label %moved

load.8:
  %one.8 = load i64, ptr %memory, align 8
  %one.8.1 = insertelement <8 x i64> poison, i64 %one.8, i64 0
  %one.8.n = shufflevector <8 x i64> %one.8.1, <8 x i64> poison, <8 x i32> zeroinitializer
  store <8 x i64> %one.8.n, ptr %slot, align 8
  br label %moved

moved:
  %q.next = add nuw i64 %q, 1
  %more = icmp ult i64 %q.next, 4
  br i1 %more, label %quarter, label %end

end:
  ret void
}
