; Moving the lanes' data between memory and a packed buffer, where they lie lane after lane.

; Where lanes are apart, the processor's own prefetchers lose track. Fetch what the next warp will want if it goes on
; with the same gap; where lanes share lines, what lies a page further, as streams do. A prefetch of an address
; that does not exist does nothing.
define internal void @tk_prefetch(ptr %addresses, i32 %live) {
entry:
  %p.1 = getelementptr i64, ptr %addresses, i64 1
  %p.31 = getelementptr i64, ptr %addresses, i64 31
  %a.0 = load i64, ptr %addresses
  %a.1 = load i64, ptr %p.1
  %a.31 = load i64, ptr %p.31
  %gap = sub i64 %a.1, %a.0
  %span = sub i64 %a.31, %a.0
  %span.even = mul i64 %gap, 31
  %even = icmp eq i64 %span, %span.even
  %beyond = sub i64 %gap, 8
  %far = icmp ult i64 %beyond, 4088
  %all = icmp eq i32 %live, -1
  %go0 = and i1 %even, %far
  %go = and i1 %go0, %all
  br i1 %go, label %start, label %end

start:
  %is.dense = icmp ult i64 %gap, 64
  %next.warp = add i64 %a.31, %gap
  %next.page = add i64 %a.0, 4096
  %first = select i1 %is.dense, i64 %next.page, i64 %next.warp
  %step = call i64 @llvm.umax.i64(i64 %gap, i64 64)
  %stop = add i64 %first, %span
  br label %loop

loop:
  %at = phi i64 [ %first, %start ], [ %at.next, %loop ]
  %p = inttoptr i64 %at to ptr
  call void @llvm.prefetch.p0(ptr %p, i32 0, i32 3, i32 1)
  %at.next = add i64 %at, %step
  %more = icmp ule i64 %at.next, %stop
  br i1 %more, label %loop, label %end

end:
  ret void
}

; Moves `size` bytes a lane between memory and a packed buffer, in lane order, so that the highest lane wins
; where several store to one address. In the packed buffer, lanes that are off stay as they are.
define internal void @tk_pack(ptr %addresses, i32 %live, i64 %size, ptr %packed) {
entry:
  %few = call i1 @tk_are_few(i32 %live)
  br i1 %few, label %lane.by.lane, label %many

many:
  %all = icmp eq i32 %live, -1
  %is.4 = icmp eq i64 %size, 4
  %is.8 = icmp eq i64 %size, 8
  %is.word = or i1 %is.4, %is.8
  %may.be = and i1 %all, %is.word
  br i1 %may.be, label %whole, label %scattered

whole:
  %step = call i64 @tk_step_of_quarters(ptr %addresses, i64 %size)
  %is.known = icmp sge i64 %step, 0
  br i1 %is.known, label %quarters, label %scattered

quarters:
  call void @tk_move_quarters(ptr %addresses, i64 %step, i64 %size, ptr %packed, i1 false)
  ret void

scattered:
  %mask = bitcast i32 %live to <32 x i1>
  %pointers = load <32 x ptr>, ptr %addresses, align 8
  switch i64 %size, label %lane.by.lane [
    i64 4, label %words
    i64 8, label %doubles
  ]

words:
  call void @tk_prefetch(ptr %addresses, i32 %live)
  %w.old = load <32 x i32>, ptr %packed, align 64
  %w = call <32 x i32> @llvm.masked.gather.v32i32.v32p0(<32 x ptr> align 4 %pointers, <32 x i1> %mask, <32 x i32> %w.old)
  store <32 x i32> %w, ptr %packed, align 64
  ret void

doubles:
  %d.old = load <32 x i64>, ptr %packed, align 64
  %d = call <32 x i64> @llvm.masked.gather.v32i64.v32p0(<32 x ptr> align 8 %pointers, <32 x i1> %mask, <32 x i64> %d.old)
  store <32 x i64> %d, ptr %packed, align 64
  ret void

lane.by.lane:
  call void @tk_move(ptr %addresses, i32 %live, i64 %size, ptr %packed, i1 false)
  ret void
}

define internal void @tk_unpack(ptr %addresses, i32 %live, i64 %size, ptr %packed) {
entry:
  %few = call i1 @tk_are_few(i32 %live)
  br i1 %few, label %lane.by.lane, label %many

many:
  %all = icmp eq i32 %live, -1
  %is.4 = icmp eq i64 %size, 4
  %is.8 = icmp eq i64 %size, 8
  %is.word = or i1 %is.4, %is.8
  %may.be = and i1 %all, %is.word
  br i1 %may.be, label %whole, label %scattered

whole:
  %step = call i64 @tk_step_of_quarters(ptr %addresses, i64 %size)
  %is.known = icmp sge i64 %step, 0
  br i1 %is.known, label %quarters, label %scattered

quarters:
  call void @tk_move_quarters(ptr %addresses, i64 %step, i64 %size, ptr %packed, i1 true)
  ret void

scattered:
  %mask = bitcast i32 %live to <32 x i1>
  %pointers = load <32 x ptr>, ptr %addresses, align 8
  switch i64 %size, label %lane.by.lane [
    i64 4, label %words
    i64 8, label %doubles
  ]

words:
  %w = load <32 x i32>, ptr %packed, align 4
  call void @llvm.masked.scatter.v32i32.v32p0(<32 x i32> %w, <32 x ptr> align 4 %pointers, <32 x i1> %mask)
  ret void

doubles:
  %d = load <32 x i64>, ptr %packed, align 8
  call void @llvm.masked.scatter.v32i64.v32p0(<32 x i64> %d, <32 x ptr> align 8 %pointers, <32 x i1> %mask)
  ret void

lane.by.lane:
  call void @tk_move(ptr %addresses, i32 %live, i64 %size, ptr %packed, i1 true)
  ret void
}

; Whether at most 8 lanes are on: then one after the other is faster than all at once.
define internal i1 @tk_are_few(i32 %live) {
  %n = call i32 @llvm.ctpop.i32(i32 %live)
  %few = icmp ule i32 %n, 8
  ret i1 %few
}

define internal void @tk_move(ptr %addresses, i32 %live, i64 %size, ptr %packed, i1 %to.memory) {
entry:
  %empty = icmp eq i32 %live, 0
  br i1 %empty, label %end, label %some

some:
  switch i64 %size, label %bytes [
    i64 1, label %of.1
    i64 2, label %of.2
    i64 4, label %of.4
    i64 8, label %of.8
    i64 16, label %of.16
  ]

of.1:
  %left.1 = phi i32 [ %live, %some ], [ %left.1.next, %of.1 ]
  %lane.1 = call i32 @llvm.cttz.i32(i32 %left.1, i1 true)
  %lane64.1 = zext i32 %lane.1 to i64
  %p.address.1 = getelementptr ptr, ptr %addresses, i64 %lane64.1
  %memory.1 = load ptr, ptr %p.address.1
  %slot.1 = getelementptr [1 x i8], ptr %packed, i64 %lane64.1
  %from.1 = select i1 %to.memory, ptr %slot.1, ptr %memory.1
  %to.1 = select i1 %to.memory, ptr %memory.1, ptr %slot.1
  %v.1 = load i8, ptr %from.1, align 1
  store i8 %v.1, ptr %to.1, align 1
  %minus.1 = sub i32 %left.1, 1
  %left.1.next = and i32 %left.1, %minus.1
  %more.1 = icmp ne i32 %left.1.next, 0
  br i1 %more.1, label %of.1, label %end

of.2:
  %left.2 = phi i32 [ %live, %some ], [ %left.2.next, %of.2 ]
  %lane.2 = call i32 @llvm.cttz.i32(i32 %left.2, i1 true)
  %lane64.2 = zext i32 %lane.2 to i64
  %p.address.2 = getelementptr ptr, ptr %addresses, i64 %lane64.2
  %memory.2 = load ptr, ptr %p.address.2
  %slot.2 = getelementptr [2 x i8], ptr %packed, i64 %lane64.2
  %from.2 = select i1 %to.memory, ptr %slot.2, ptr %memory.2
  %to.2 = select i1 %to.memory, ptr %memory.2, ptr %slot.2
  %v.2 = load i16, ptr %from.2, align 1
  store i16 %v.2, ptr %to.2, align 1
  %minus.2 = sub i32 %left.2, 1
  %left.2.next = and i32 %left.2, %minus.2
  %more.2 = icmp ne i32 %left.2.next, 0
  br i1 %more.2, label %of.2, label %end

of.4:
  %left.4 = phi i32 [ %live, %some ], [ %left.4.next, %of.4 ]
  %lane.4 = call i32 @llvm.cttz.i32(i32 %left.4, i1 true)
  %lane64.4 = zext i32 %lane.4 to i64
  %p.address.4 = getelementptr ptr, ptr %addresses, i64 %lane64.4
  %memory.4 = load ptr, ptr %p.address.4
  %slot.4 = getelementptr [4 x i8], ptr %packed, i64 %lane64.4
  %from.4 = select i1 %to.memory, ptr %slot.4, ptr %memory.4
  %to.4 = select i1 %to.memory, ptr %memory.4, ptr %slot.4
  %v.4 = load i32, ptr %from.4, align 1
  store i32 %v.4, ptr %to.4, align 1
  %minus.4 = sub i32 %left.4, 1
  %left.4.next = and i32 %left.4, %minus.4
  %more.4 = icmp ne i32 %left.4.next, 0
  br i1 %more.4, label %of.4, label %end

of.8:
  %left.8 = phi i32 [ %live, %some ], [ %left.8.next, %of.8 ]
  %lane.8 = call i32 @llvm.cttz.i32(i32 %left.8, i1 true)
  %lane64.8 = zext i32 %lane.8 to i64
  %p.address.8 = getelementptr ptr, ptr %addresses, i64 %lane64.8
  %memory.8 = load ptr, ptr %p.address.8
  %slot.8 = getelementptr [8 x i8], ptr %packed, i64 %lane64.8
  %from.8 = select i1 %to.memory, ptr %slot.8, ptr %memory.8
  %to.8 = select i1 %to.memory, ptr %memory.8, ptr %slot.8
  %v.8 = load i64, ptr %from.8, align 1
  store i64 %v.8, ptr %to.8, align 1
  %minus.8 = sub i32 %left.8, 1
  %left.8.next = and i32 %left.8, %minus.8
  %more.8 = icmp ne i32 %left.8.next, 0
  br i1 %more.8, label %of.8, label %end

of.16:
  %all.16 = icmp eq i32 %live, -1
  br i1 %all.16, label %all.of.16, label %some.of.16

all.of.16:
  br i1 %to.memory, label %out.16, label %in.16

in.16:
  %lane.in = phi i64 [ 0, %all.of.16 ], [ %lane.in.next, %in.16 ]
  %p.address.in = getelementptr ptr, ptr %addresses, i64 %lane.in
  %memory.in = load ptr, ptr %p.address.in
  %slot.in = getelementptr [16 x i8], ptr %packed, i64 %lane.in
  %v.in = load <4 x i32>, ptr %memory.in, align 1
  store <4 x i32> %v.in, ptr %slot.in, align 1
  %lane.in.next = add i64 %lane.in, 1
  %more.in = icmp ne i64 %lane.in.next, 32
  br i1 %more.in, label %in.16, label %end

out.16:
  %lane.out = phi i64 [ 0, %all.of.16 ], [ %lane.out.next, %out.16 ]
  %p.address.out = getelementptr ptr, ptr %addresses, i64 %lane.out
  %memory.out = load ptr, ptr %p.address.out
  %slot.out = getelementptr [16 x i8], ptr %packed, i64 %lane.out
  %v.out = load <4 x i32>, ptr %slot.out, align 1
  store <4 x i32> %v.out, ptr %memory.out, align 1
  %lane.out.next = add i64 %lane.out, 1
  %more.out = icmp ne i64 %lane.out.next, 32
  br i1 %more.out, label %out.16, label %end

some.of.16:
  %left.16 = phi i32 [ %live, %of.16 ], [ %left.16.next, %some.of.16 ]
  %lane.16 = call i32 @llvm.cttz.i32(i32 %left.16, i1 true)
  %lane64.16 = zext i32 %lane.16 to i64
  %p.address.16 = getelementptr ptr, ptr %addresses, i64 %lane64.16
  %memory.16 = load ptr, ptr %p.address.16
  %slot.16 = getelementptr [16 x i8], ptr %packed, i64 %lane64.16
  %from.16 = select i1 %to.memory, ptr %slot.16, ptr %memory.16
  %to.16 = select i1 %to.memory, ptr %memory.16, ptr %slot.16
  %v.16 = load <4 x i32>, ptr %from.16, align 1
  store <4 x i32> %v.16, ptr %to.16, align 1
  %minus.16 = sub i32 %left.16, 1
  %left.16.next = and i32 %left.16, %minus.16
  %more.16 = icmp ne i32 %left.16.next, 0
  br i1 %more.16, label %some.of.16, label %end

bytes:
  %left.n = phi i32 [ %live, %some ], [ %left.n.next, %bytes ]
  %lane.n = call i32 @llvm.cttz.i32(i32 %left.n, i1 true)
  %lane64.n = zext i32 %lane.n to i64
  %p.address.n = getelementptr ptr, ptr %addresses, i64 %lane64.n
  %memory.n = load ptr, ptr %p.address.n
  %at.n = mul i64 %lane64.n, %size
  %slot.n = getelementptr i8, ptr %packed, i64 %at.n
  %from.n = select i1 %to.memory, ptr %slot.n, ptr %memory.n
  %to.n = select i1 %to.memory, ptr %memory.n, ptr %slot.n
  call void @llvm.memcpy.p0.p0.i64(ptr %to.n, ptr %from.n, i64 %size, i1 false)
  %minus.n = sub i32 %left.n, 1
  %left.n.next = and i32 %left.n, %minus.n
  %more.n = icmp ne i32 %left.n.next, 0
  br i1 %more.n, label %bytes, label %end

end:
  ret void
}
