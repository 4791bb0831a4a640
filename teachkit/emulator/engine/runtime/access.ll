; The entry points of generated code: check, count, then move the data lane by lane.

; Where lanes are 64 bytes to 4 KiB apart, the processor's own prefetchers lose track: fetch what the next warp will
; want, if it goes on with the same gap. A prefetch of an address that does not exist does nothing.
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
  %beyond = sub i64 %gap, 64
  %far = icmp ult i64 %beyond, 4032
  %all = icmp eq i32 %live, -1
  %go0 = and i1 %even, %far
  %go = and i1 %go0, %all
  br i1 %go, label %start, label %end

start:
  %next0 = add i64 %a.31, %gap
  br label %loop

loop:
  %i = phi i64 [ 0, %start ], [ %i.next, %loop ]
  %at = phi i64 [ %next0, %start ], [ %at.next, %loop ]
  %p = inttoptr i64 %at to ptr
  call void @llvm.prefetch.p0(ptr %p, i32 0, i32 3, i32 1)
  %at.next = add i64 %at, %gap
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, 32
  br i1 %more, label %loop, label %end

end:
  ret void
}

; Moves `size` bytes a lane between memory and a packed buffer, in lane order, so that the highest lane wins
; where several store to one address. In the packed buffer, lanes that are off stay as they are.
define internal void @tk_pack(ptr %addresses, i32 %live, i64 %size, ptr %packed) {
entry:
  %mask = bitcast i32 %live to <32 x i1>
  %pointers = load <32 x ptr>, ptr %addresses, align 8
  switch i64 %size, label %bytes [
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

bytes:
  call void @tk_move(ptr %addresses, i32 %live, i64 %size, ptr %packed, i1 false)
  ret void
}

define internal void @tk_unpack(ptr %addresses, i32 %live, i64 %size, ptr %packed) {
entry:
  %mask = bitcast i32 %live to <32 x i1>
  %pointers = load <32 x ptr>, ptr %addresses, align 8
  switch i64 %size, label %bytes [
    i64 4, label %words
    i64 8, label %doubles
  ]

words:
  %w = load <32 x i32>, ptr %packed, align 64
  call void @llvm.masked.scatter.v32i32.v32p0(<32 x i32> %w, <32 x ptr> align 4 %pointers, <32 x i1> %mask)
  ret void

doubles:
  %d = load <32 x i64>, ptr %packed, align 64
  call void @llvm.masked.scatter.v32i64.v32p0(<32 x i64> %d, <32 x ptr> align 8 %pointers, <32 x i1> %mask)
  ret void

bytes:
  call void @tk_move(ptr %addresses, i32 %live, i64 %size, ptr %packed, i1 true)
  ret void
}

define internal void @tk_move(ptr %addresses, i32 %live, i64 %size, ptr %packed, i1 %to.memory) {
entry:
  %empty = icmp eq i32 %live, 0
  br i1 %empty, label %end, label %lane.loop

lane.loop:
  %left = phi i32 [ %live, %entry ], [ %left.next, %lane.next ]
  %lane = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %lane64 = zext i32 %lane to i64
  %p.address = getelementptr ptr, ptr %addresses, i64 %lane64
  %memory = load ptr, ptr %p.address
  %at = mul i64 %lane64, %size
  %slot = getelementptr i8, ptr %packed, i64 %at
  %from = select i1 %to.memory, ptr %slot, ptr %memory
  %to = select i1 %to.memory, ptr %memory, ptr %slot
  switch i64 %size, label %wide [
    i64 1, label %one
    i64 2, label %two
    i64 16, label %sixteen
  ]

one:
  %v1 = load i8, ptr %from, align 1
  store i8 %v1, ptr %to, align 1
  br label %lane.next

two:
  %v2 = load i16, ptr %from, align 1
  store i16 %v2, ptr %to, align 1
  br label %lane.next

sixteen:
  %v16 = load <4 x i32>, ptr %from, align 1
  store <4 x i32> %v16, ptr %to, align 1
  br label %lane.next

wide:
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %size, i1 false)
  br label %lane.next

lane.next:
  %minus = sub i32 %left, 1
  %left.next = and i32 %left, %minus
  %more = icmp ne i32 %left.next, 0
  br i1 %more, label %lane.loop, label %end

end:
  ret void
}

; The four entry points of generated code. `site` < 0 means that nothing is counted; the site number for a
; fault report then travels in its complement.
define void @tk_load_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed) {
  %live = call i32 @tk_access_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, i64 0)
  call void @tk_pack(ptr %addresses, i32 %live, i64 %size, ptr %packed)
  ret void
}

define void @tk_store_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed) {
  %live = call i32 @tk_access_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, i64 1)
  call void @tk_unpack(ptr %addresses, i32 %live, i64 %size, ptr %packed)
  ret void
}

define void @tk_load_shared(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed) {
  %live = call i32 @tk_access_shared(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size)
  call void @tk_pack(ptr %addresses, i32 %live, i64 %size, ptr %packed)
  ret void
}

define void @tk_store_shared(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed) {
  %live = call i32 @tk_access_shared(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size)
  call void @tk_unpack(ptr %addresses, i32 %live, i64 %size, ptr %packed)
  ret void
}

; Bounds and counting without moving data: for instructions that move it themselves.
define i32 @tk_access_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, i64 %store) {
entry:
  %silent = icmp slt i64 %site, 0
  %inverse = xor i64 %site, -1
  %place = select i1 %silent, i64 %inverse, i64 %site
  %live = call i32 @tk_in_bounds(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %place, i64 %size)
  br i1 %silent, label %end, label %count

count:
  call void @tk_count_global(ptr %ctx, ptr %addresses, i32 %live, i64 %site, i64 %store)
  %is.load = icmp eq i64 %store, 0
  br i1 %is.load, label %banks, label %end

banks:
  call void @tk_count_banks(ptr %ctx, ptr %addresses, i32 %live, i64 %site, i64 %size)
  br label %end

end:
  ret i32 %live
}

define i32 @tk_access_shared(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size) {
entry:
  %silent = icmp slt i64 %site, 0
  %inverse = xor i64 %site, -1
  %place = select i1 %silent, i64 %inverse, i64 %site
  %live = call i32 @tk_in_bounds(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %place, i64 %size)
  br i1 %silent, label %end, label %count

count:
  call void @tk_count_shared(ptr %ctx, ptr %addresses, i32 %live, i64 %site, i64 %size)
  br label %end

end:
  ret i32 %live
}

; Bounds and counting of an atomic operation: its sectors where `record` (the trace bits) is not 0, and the
; largest number of lanes that want one address, of which the site keeps the greatest.
define i32 @tk_access_atomic(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, i64 %record) {
entry:
  %silent = icmp slt i64 %site, 0
  %inverse = xor i64 %site, -1
  %place = select i1 %silent, i64 %inverse, i64 %site
  %live = call i32 @tk_in_bounds(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %place, i64 %size)
  %none = icmp eq i32 %live, 0
  %skip = or i1 %silent, %none
  br i1 %skip, label %end, label %count

count:
  %is.global = icmp ne i64 %record, 0
  br i1 %is.global, label %sectors, label %request

sectors:
  call void @tk_count_global(ptr %ctx, ptr %addresses, i32 %live, i64 %site, i64 %record)
  br label %conflicts

request:
  call void @tk_add(ptr %ctx, i64 %site, i32 %live, i64 0, i64 0)
  br label %conflicts

conflicts:
  %address = load <32 x i64>, ptr %addresses, align 8
  br label %group

group:
  %left = phi i32 [ %live, %conflicts ], [ %left.next, %group ]
  %most = phi i32 [ 0, %conflicts ], [ %most.next, %group ]
  %lane = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %one = extractelement <32 x i64> %address, i32 %lane
  %one.1 = insertelement <32 x i64> poison, i64 %one, i64 0
  %one.n = shufflevector <32 x i64> %one.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %equal = icmp eq <32 x i64> %address, %one.n
  %equal.bits = bitcast <32 x i1> %equal to i32
  %same = and i32 %equal.bits, %left
  %n = call i32 @llvm.ctpop.i32(i32 %same)
  %more = icmp ugt i32 %n, %most
  %most.next = select i1 %more, i32 %n, i32 %most
  %others = xor i32 %same, -1
  %left.next = and i32 %left, %others
  %done = icmp eq i32 %left.next, 0
  br i1 %done, label %keep, label %group

keep:
  %p.sites = getelementptr i8, ptr %ctx, i64 «sites»
  %sites = load ptr, ptr %p.sites
  %site.most = add i64 %site, 3
  %slot = getelementptr i64, ptr %sites, i64 %site.most
  %old = load i64, ptr %slot
  %new = zext i32 %most.next to i64
  %greater = icmp ugt i64 %new, %old
  %kept = select i1 %greater, i64 %new, i64 %old
  store i64 %kept, ptr %slot
  br label %end

end:
  ret i32 %live
}

; Memory whose accesses are only counted as requests and lanes: constants and parameters by their host
; address, and what is private to a lane, by its offset there. For the latter `low` is where lane 0's memory
; starts and `high` how much each lane has.
define void @tk_load_private(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed) {
  %live = call i32 @tk_access_private(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size)
  call void @tk_pack(ptr %addresses, i32 %live, i64 %size, ptr %packed)
  ret void
}

define void @tk_load_local(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed) {
  %live = call i32 @tk_access_private(ptr %ctx, ptr %addresses, i32 %active, i64 0, i64 %high, i64 %site, i64 %size)
  call void @tk_to_host(ptr %addresses, i64 %low, i64 %high)
  call void @tk_pack(ptr %addresses, i32 %live, i64 %size, ptr %packed)
  ret void
}

define void @tk_store_local(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed) {
  %live = call i32 @tk_access_private(ptr %ctx, ptr %addresses, i32 %active, i64 0, i64 %high, i64 %site, i64 %size)
  call void @tk_to_host(ptr %addresses, i64 %low, i64 %high)
  call void @tk_unpack(ptr %addresses, i32 %live, i64 %size, ptr %packed)
  ret void
}

define internal i32 @tk_access_private(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size) {
entry:
  %silent = icmp slt i64 %site, 0
  %inverse = xor i64 %site, -1
  %place = select i1 %silent, i64 %inverse, i64 %site
  %live = call i32 @tk_in_bounds(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %place, i64 %size)
  %none = icmp eq i32 %live, 0
  %skip = or i1 %silent, %none
  br i1 %skip, label %end, label %count

count:
  call void @tk_add(ptr %ctx, i64 %site, i32 %live, i64 0, i64 0)
  br label %end

end:
  ret i32 %live
}

define internal void @tk_to_host(ptr %addresses, i64 %base, i64 %lane.bytes) {
  %offset = load <32 x i64>, ptr %addresses, align 8
  %base.1 = insertelement <32 x i64> poison, i64 %base, i64 0
  %base.n = shufflevector <32 x i64> %base.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %lane.1 = insertelement <32 x i64> poison, i64 %lane.bytes, i64 0
  %lane.n = shufflevector <32 x i64> %lane.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %start = mul <32 x i64> %lane.n, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15, i64 16, i64 17, i64 18, i64 19, i64 20, i64 21, i64 22, i64 23, i64 24, i64 25, i64 26, i64 27, i64 28, i64 29, i64 30, i64 31>
  %own = add <32 x i64> %base.n, %start
  %host = add <32 x i64> %own, %offset
  store <32 x i64> %host, ptr %addresses, align 8
  ret void
}
