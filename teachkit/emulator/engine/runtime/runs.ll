; Accesses that nearly always are one run of memory by all lanes, where their code would be long in every kernel: 64-bit
; addresses lane by lane, and lanes of 16 bytes, which call the runtime to have their words taken apart anyway.
;
; @tk_find_...  loads:  where the lanes' data lie side by side, in memory or in the staging buffer.
; @tk_place_... stores: where they shall lie side by side. In the staging buffer they go to @tk_apart_store_... then.
; @tk_put_...   stores of what lies side by side already.

attributes #1 = { alwaysinline "target-features"="«features»-vzeroupper" }

define ptr @tk_find_global(ptr %ctx, i32 %active, i64 %what, i64 %first) #0 {
entry:
  %run = call ptr @tk_run_in_global(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 0)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %end, label %apart

apart:
  %size = call i64 @tk_size(i64 %what)
  call preserve_allcc void @tk_apart_load_global(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 %size)
  %packed = call ptr @tk_packed(ptr %ctx)
  br label %end

end:
  %where = phi ptr [ %run, %entry ], [ %packed, %apart ]
  ret ptr %where
}

define ptr @tk_find_global_each(ptr %ctx, i32 %active, i64 %what, <32 x i64> %each) #0 {
entry:
  %first = call i64 @tk_first_of_row(i64 %what, <32 x i64> %each)
  %run = call ptr @tk_run_in_global(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 0)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %end, label %apart

apart:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  store <32 x i64> %each, ptr %addresses, align 64
  call preserve_allcc void @tk_apart_load_global(ptr %ctx, i32 %active, i64 %what, i64 0, i64 0)
  %packed = call ptr @tk_packed(ptr %ctx)
  br label %end

end:
  %where = phi ptr [ %run, %entry ], [ %packed, %apart ]
  ret ptr %where
}

define ptr @tk_find_global_indexed(ptr %ctx, i32 %active, i64 %what, <32 x i32> %index, i64 %base, i64 %scale) #0 {
entry:
  %first = call i64 @tk_first_of_indices(i64 %what, <32 x i32> %index, i64 %base, i64 %scale)
  %run = call ptr @tk_run_in_global(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 0)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %end, label %apart

apart:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  store <32 x i32> %index, ptr %addresses, align 64
  call preserve_allcc void @tk_apart_load_global(ptr %ctx, i32 %active, i64 %what, i64 %base, i64 %scale)
  %packed = call ptr @tk_packed(ptr %ctx)
  br label %end

end:
  %where = phi ptr [ %run, %entry ], [ %packed, %apart ]
  ret ptr %where
}

define ptr @tk_find_shared(ptr %ctx, i32 %active, i64 %what, i64 %first) #0 {
entry:
  %run = call ptr @tk_run_in_shared(ptr %ctx, i32 %active, i64 %what, i64 %first)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %end, label %apart

apart:
  %size = call i64 @tk_size(i64 %what)
  call preserve_allcc void @tk_apart_load_shared(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 %size)
  %packed = call ptr @tk_packed(ptr %ctx)
  br label %end

end:
  %where = phi ptr [ %run, %entry ], [ %packed, %apart ]
  ret ptr %where
}

define ptr @tk_find_shared_offsets(ptr %ctx, i32 %active, i64 %what, <32 x i32> %offsets) #0 {
entry:
  %first = call i64 @tk_first_of_offsets(ptr %ctx, i64 %what, <32 x i32> %offsets)
  %run = call ptr @tk_run_in_shared(ptr %ctx, i32 %active, i64 %what, i64 %first)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %end, label %apart

apart:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  store <32 x i32> %offsets, ptr %addresses, align 64
  call preserve_allcc void @tk_apart_load_shared(ptr %ctx, i32 %active, i64 %what, i64 0, i64 0)
  %packed = call ptr @tk_packed(ptr %ctx)
  br label %end

end:
  %where = phi ptr [ %run, %entry ], [ %packed, %apart ]
  ret ptr %where
}

define ptr @tk_find_shared_each(ptr %ctx, i32 %active, i64 %what, <32 x i64> %each) #0 {
entry:
  %first = call i64 @tk_first_of_row(i64 %what, <32 x i64> %each)
  %run = call ptr @tk_run_in_shared(ptr %ctx, i32 %active, i64 %what, i64 %first)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %end, label %apart

apart:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  store <32 x i64> %each, ptr %addresses, align 64
  call preserve_allcc void @tk_apart_load_shared(ptr %ctx, i32 %active, i64 %what, i64 0, i64 0)
  %packed = call ptr @tk_packed(ptr %ctx)
  br label %end

end:
  %where = phi ptr [ %run, %entry ], [ %packed, %apart ]
  ret ptr %where
}

define ptr @tk_place_global(ptr %ctx, i32 %active, i64 %what, i64 %first) #0 {
  %run = call ptr @tk_run_in_global(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 1)
  %where = call ptr @tk_or_packed(ptr %ctx, ptr %run)
  ret ptr %where
}

define ptr @tk_place_global_each(ptr %ctx, i32 %active, i64 %what, <32 x i64> %each) #0 {
entry:
  %first = call i64 @tk_first_of_row(i64 %what, <32 x i64> %each)
  %run = call ptr @tk_run_in_global(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 1)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %end, label %apart

apart:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  store <32 x i64> %each, ptr %addresses, align 64
  br label %end

end:
  %where = call ptr @tk_or_packed(ptr %ctx, ptr %run)
  ret ptr %where
}

define ptr @tk_place_global_indexed(ptr %ctx, i32 %active, i64 %what, <32 x i32> %index, i64 %base, i64 %scale) #0 {
entry:
  %first = call i64 @tk_first_of_indices(i64 %what, <32 x i32> %index, i64 %base, i64 %scale)
  %run = call ptr @tk_run_in_global(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 1)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %end, label %apart

apart:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  store <32 x i32> %index, ptr %addresses, align 64
  br label %end

end:
  %where = call ptr @tk_or_packed(ptr %ctx, ptr %run)
  ret ptr %where
}

define ptr @tk_place_shared(ptr %ctx, i32 %active, i64 %what, i64 %first) #0 {
  %run = call ptr @tk_run_in_shared(ptr %ctx, i32 %active, i64 %what, i64 %first)
  %where = call ptr @tk_or_packed(ptr %ctx, ptr %run)
  ret ptr %where
}

define ptr @tk_place_shared_offsets(ptr %ctx, i32 %active, i64 %what, <32 x i32> %offsets) #0 {
entry:
  %first = call i64 @tk_first_of_offsets(ptr %ctx, i64 %what, <32 x i32> %offsets)
  %run = call ptr @tk_run_in_shared(ptr %ctx, i32 %active, i64 %what, i64 %first)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %end, label %apart

apart:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  store <32 x i32> %offsets, ptr %addresses, align 64
  br label %end

end:
  %where = call ptr @tk_or_packed(ptr %ctx, ptr %run)
  ret ptr %where
}

define ptr @tk_place_shared_each(ptr %ctx, i32 %active, i64 %what, <32 x i64> %each) #0 {
entry:
  %first = call i64 @tk_first_of_row(i64 %what, <32 x i64> %each)
  %run = call ptr @tk_run_in_shared(ptr %ctx, i32 %active, i64 %what, i64 %first)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %end, label %apart

apart:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  store <32 x i64> %each, ptr %addresses, align 64
  br label %end

end:
  %where = call ptr @tk_or_packed(ptr %ctx, ptr %run)
  ret ptr %where
}

define void @tk_put_shared(ptr %ctx, i32 %active, i64 %what, i64 %first, ptr %from) #0 {
entry:
  %run = call ptr @tk_run_in_shared(ptr %ctx, i32 %active, i64 %what, i64 %first)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %copy, label %apart

copy:
  call void @tk_copy_run(i64 %what, ptr %run, ptr %from)
  ret void

apart:
  %size = call i64 @tk_size(i64 %what)
  call preserve_allcc void @tk_apart_store_shared(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 %size, ptr %from)
  ret void
}

define void @tk_put_shared_offsets(ptr %ctx, i32 %active, i64 %what, <32 x i32> %offsets, ptr %from) #0 {
entry:
  %first = call i64 @tk_first_of_offsets(ptr %ctx, i64 %what, <32 x i32> %offsets)
  %run = call ptr @tk_run_in_shared(ptr %ctx, i32 %active, i64 %what, i64 %first)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %copy, label %apart

copy:
  call void @tk_copy_run(i64 %what, ptr %run, ptr %from)
  ret void

apart:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  store <32 x i32> %offsets, ptr %addresses, align 64
  call preserve_allcc void @tk_apart_store_shared(ptr %ctx, i32 %active, i64 %what, i64 0, i64 0, ptr %from)
  ret void
}

define void @tk_put_shared_each(ptr %ctx, i32 %active, i64 %what, <32 x i64> %each, ptr %from) #0 {
entry:
  %first = call i64 @tk_first_of_row(i64 %what, <32 x i64> %each)
  %run = call ptr @tk_run_in_shared(ptr %ctx, i32 %active, i64 %what, i64 %first)
  %is.run = icmp ne ptr %run, null
  br i1 %is.run, label %copy, label %apart

copy:
  call void @tk_copy_run(i64 %what, ptr %run, ptr %from)
  ret void

apart:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  store <32 x i64> %each, ptr %addresses, align 64
  call preserve_allcc void @tk_apart_store_shared(ptr %ctx, i32 %active, i64 %what, i64 0, i64 0, ptr %from)
  ret void
}

; A word of each lane at a time.
define internal void @tk_copy_run(i64 %what, ptr %to, ptr %from) #1 {
entry:
  %size = call i64 @tk_size(i64 %what)
  %n = lshr i64 %size, 2
  br label %words

words:
  %i = phi i64 [ 0, %entry ], [ %i.next, %words ]
  %p.from = getelementptr [32 x i32], ptr %from, i64 %i
  %p.to = getelementptr [32 x i32], ptr %to, i64 %i
  %word = load <32 x i32>, ptr %p.from, align 4
  store <32 x i32> %word, ptr %p.to, align 4
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %n
  br i1 %more, label %words, label %end

end:
  ret void
}

define internal ptr @tk_or_packed(ptr %ctx, ptr %run) #1 {
  %packed = call ptr @tk_packed(ptr %ctx)
  %is.run = icmp ne ptr %run, null
  %where = select i1 %is.run, ptr %run, ptr %packed
  ret ptr %where
}

; Lane 0's address if the others follow it in a row; else 1, where no memory is.
define internal i64 @tk_first_of_row(i64 %what, <32 x i64> %each) #1 {
  %size = call i64 @tk_size(i64 %what)
  %shift = call i64 @llvm.cttz.i64(i64 %size, i1 true)
  %first = extractelement <32 x i64> %each, i64 0
  %first.1 = insertelement <32 x i64> poison, i64 %first, i64 0
  %first.n = shufflevector <32 x i64> %first.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %shift.1 = insertelement <32 x i64> poison, i64 %shift, i64 0
  %shift.n = shufflevector <32 x i64> %shift.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %step = shl <32 x i64> <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15, i64 16, i64 17, i64 18, i64 19, i64 20, i64 21, i64 22, i64 23, i64 24, i64 25, i64 26, i64 27, i64 28, i64 29, i64 30, i64 31>, %shift.n
  %row = add <32 x i64> %first.n, %step
  %off = xor <32 x i64> %row, %each
  %wrong = call i64 @llvm.vector.reduce.or.v32i64(<32 x i64> %off)
  %is.row = icmp eq i64 %wrong, 0
  %result = select i1 %is.row, i64 %first, i64 1
  ret i64 %result
}

; The same of offsets in shared memory.
define internal i64 @tk_first_of_offsets(ptr %ctx, i64 %what, <32 x i32> %offsets) #1 {
  %size = call i64 @tk_size(i64 %what)
  %is.row = call i1 @tk_in_a_row(<32 x i32> %offsets, i64 %size)
  %p.low = getelementptr i8, ptr %ctx, i64 «shared»
  %low = load i64, ptr %p.low
  %start = extractelement <32 x i32> %offsets, i64 0
  %wide = zext i32 %start to i64
  %first = add i64 %low, %wide
  %result = select i1 %is.row, i64 %first, i64 1
  ret i64 %result
}

; The same of indices; no index starts anew behind the last.
define internal i64 @tk_first_of_indices(i64 %what, <32 x i32> %index, i64 %base, i64 %scale) #1 {
  %size = call i64 @tk_size(i64 %what)
  %scale.log = call i64 @llvm.cttz.i64(i64 %scale, i1 true)
  %step = lshr i64 %size, %scale.log
  %is.row = call i1 @tk_in_a_row(<32 x i32> %index, i64 %step)
  %start = extractelement <32 x i32> %index, i64 0
  %how = call i64 @tk_how(i64 %what)
  %is.signed = icmp eq i64 %how, 4                ; How.INDEXED
  %with.sign = sext i32 %start to i64
  %without = zext i32 %start to i64
  %wide = select i1 %is.signed, i64 %with.sign, i64 %without
  %span = shl i64 %step, 5
  %end = select i1 %is.signed, i64 2147483648, i64 4294967296
  %last = sub i64 %end, %span
  %fits = icmp slt i64 %wide, %last
  %ok = and i1 %fits, %is.row
  %scaled = mul i64 %wide, %scale
  %first = add i64 %base, %scaled
  %result = select i1 %ok, i64 %first, i64 1
  ret i64 %result
}

define internal i1 @tk_in_a_row(<32 x i32> %lanes, i64 %step) #1 {
  %shift = call i64 @llvm.cttz.i64(i64 %step, i1 true)
  %shift.32 = trunc i64 %shift to i32
  %start = extractelement <32 x i32> %lanes, i64 0
  %start.1 = insertelement <32 x i32> poison, i32 %start, i64 0
  %start.n = shufflevector <32 x i32> %start.1, <32 x i32> poison, <32 x i32> zeroinitializer
  %shift.1 = insertelement <32 x i32> poison, i32 %shift.32, i64 0
  %shift.n = shufflevector <32 x i32> %shift.1, <32 x i32> poison, <32 x i32> zeroinitializer
  %steps = shl <32 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>, %shift.n
  %row = add <32 x i32> %start.n, %steps
  %off = xor <32 x i32> %row, %lanes
  %wrong = call i32 @llvm.vector.reduce.or.v32i32(<32 x i32> %off)
  %is.row = icmp eq i32 %wrong, 0
  ret i1 %is.row
}

; Whether all lanes are on and a run from `first` on is aligned and in [low, high).
define internal i1 @tk_is_run(i32 %active, i64 %size, i64 %first, i64 %low, i64 %high) #1 {
  %n.bytes = shl i64 %size, 5
  %before.last = sub i64 %n.bytes, 1
  %span = sub i64 %high, %low
  %room = call i64 @llvm.usub.sat.i64(i64 %span, i64 %before.last)
  %at = sub i64 %first, %low
  %inside = icmp ult i64 %at, %room
  %low.bits = sub i64 %size, 1
  %rest = and i64 %first, %low.bits
  %aligned = icmp eq i64 %rest, 0
  %all = icmp eq i32 %active, -1
  %ok.1 = and i1 %inside, %aligned
  %ok = and i1 %ok.1, %all
  ret i1 %ok
}

define internal ptr @tk_run_in_shared(ptr %ctx, i32 %active, i64 %what, i64 %first) #1 {
entry:
  %p.low = getelementptr i8, ptr %ctx, i64 «shared»
  %p.high = getelementptr i8, ptr %ctx, i64 «shared_end»
  %low = load i64, ptr %p.low
  %high = load i64, ptr %p.high
  %size = call i64 @tk_size(i64 %what)
  %is.run = call i1 @tk_is_run(i32 %active, i64 %size, i64 %first, i64 %low, i64 %high)
  br i1 %is.run, label %run, label %none

none:
  ret ptr null

run:                                              ; a branch, as nothing waits for its outcome
  %memory = inttoptr i64 %first to ptr
  %is.counted = icmp sge i64 %what, 0
  br i1 %is.counted, label %count, label %end

count:
  %counter = call ptr @tk_run_counter(ptr %ctx, i64 %what)
  %old = load i64, ptr %counter
  %new = add i64 %old, 1
  store i64 %new, ptr %counter
  br label %end

end:
  ret ptr %memory
}

define internal ptr @tk_run_in_global(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 %store) #1 {
  %size = call i64 @tk_size(i64 %what)
  %is.widest = icmp eq i64 %size, 16
  br i1 %is.widest, label %widest, label %any

widest:                                           ; nearly always, and much of it is known then
  %run.16 = call ptr @tk_run_of_size(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 %store, i64 16)
  ret ptr %run.16

any:
  %run = call ptr @tk_run_of_size(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 %store, i64 %size)
  ret ptr %run
}

define internal ptr @tk_run_of_size(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 %store, i64 %size) #1 {
entry:
  %interval = call ptr @tk_interval(ptr %ctx, i64 %what)
  %p.high = getelementptr i64, ptr %interval, i64 1
  %low = load i64, ptr %interval
  %high = load i64, ptr %p.high
  %is.run = call i1 @tk_is_run(i32 %active, i64 %size, i64 %first, i64 %low, i64 %high)
  br i1 %is.run, label %ahead, label %none

none:
  ret ptr null

ahead:                                            ; a branch, as nothing waits for its outcome
  %run = inttoptr i64 %first to ptr
  %n.bytes = shl i64 %size, 5
  %n.lines = lshr i64 %n.bytes, 6
  %is.store = icmp ne i64 %store, 0
  br label %line

line:                                             ; what lies a page further: a stream gets there soon
  %i = phi i64 [ 0, %ahead ], [ %i.next, %fetched ]
  %i.at = shl i64 %i, 6
  %further = add i64 %i.at, 4096
  %p.at = getelementptr i8, ptr %run, i64 %further
  br i1 %is.store, label %to.write, label %to.read

to.write:
  call void @llvm.prefetch.p0(ptr %p.at, i32 1, i32 3, i32 1)
  br label %fetched

to.read:
  call void @llvm.prefetch.p0(ptr %p.at, i32 0, i32 3, i32 1)
  br label %fetched

fetched:
  %i.next = add nuw i64 %i, 1
  %more.lines = icmp ult i64 %i.next, %n.lines
  br i1 %more.lines, label %line, label %all.fetched

all.fetched:
  %is.counted = icmp sge i64 %what, 0
  br i1 %is.counted, label %count, label %end

count:
  %misplaced = call i64 @tk_before_sector(i64 %low, i64 %size)
  %start = sub i64 %first, %misplaced
  %before.last = sub i64 %n.bytes, 1
  %last = add i64 %start, %before.last
  %sector = lshr i64 %start, 5
  %last.sector = lshr i64 %last, 5
  %more = sub i64 %last.sector, %sector
  %counter = call ptr @tk_run_counter(ptr %ctx, i64 %what)
  %old = load i64, ptr %counter
  %new = add i64 %old, 1
  store i64 %new, ptr %counter
  %p.beyond = getelementptr i64, ptr %counter, i64 1
  %beyond = load i64, ptr %p.beyond
  %beyond.new = add i64 %beyond, %more
  store i64 %beyond.new, ptr %p.beyond
  %place = shl i64 %sector, 8
  %n = shl i64 %more, 1
  %record.0 = or i64 %place, %n
  %record = or i64 %record.0, %store
  %p.cursor = getelementptr i8, ptr %ctx, i64 «trace_cursor»
  %cursor = load ptr, ptr %p.cursor
  store i64 %record, ptr %cursor
  %cursor.new = getelementptr i64, ptr %cursor, i64 1
  store ptr %cursor.new, ptr %p.cursor
  br label %end

end:
  ret ptr %run
}

; Where a site counts its runs.
define internal ptr @tk_run_counter(ptr %ctx, i64 %what) #1 {
  %p.sites = getelementptr i8, ptr %ctx, i64 «sites»
  %sites = load ptr, ptr %p.sites
  %site = and i64 %what, 4294967295
  %slot = add i64 %site, 4                        ; RUN_SLOT
  %counter = getelementptr i64, ptr %sites, i64 %slot
  ret ptr %counter
}
