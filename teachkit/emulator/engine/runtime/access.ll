; The entry points of generated code: check, count, then move the data lane by lane.

; What generated code calls of an access that is no run of memory. The bits of `what` are those of `APART_...`.
; They leave all registers as they were, so LLVM must not clear the upper halves of vectors when they return.
attributes #0 = { "target-features"="«features»-vzeroupper" }

define preserve_allcc void @tk_apart_load_global(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 %stride) #0 {
entry:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  %interval = call ptr @tk_interval(ptr %ctx, i64 %what)
  %p.high = getelementptr i64, ptr %interval, i64 1
  %low = load i64, ptr %interval
  %high = load i64, ptr %p.high
  %packed = call ptr @tk_room(ptr %ctx, i64 %what, i64 1)
  %done = call i1 @tk_firsts_of_run(ptr %ctx, i32 %active, i64 %what, i64 %low, i64 %high, i64 %first, i64 %stride, ptr %packed, i64 0, i1 false)
  br i1 %done, label %end, label %lanes

lanes:
  call void @tk_spread(ptr %addresses, i64 %what, i64 %low, i64 %first, i64 %stride)
  %site = call i64 @tk_site(i64 %what)
  %size = call i64 @tk_size(i64 %what)
  call void @tk_load_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed)
  br label %end

end:
  ret void
}

define preserve_allcc void @tk_apart_store_global(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 %stride, ptr %packed) #0 {
entry:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  %interval = call ptr @tk_interval(ptr %ctx, i64 %what)
  %p.high = getelementptr i64, ptr %interval, i64 1
  %low = load i64, ptr %interval
  %high = load i64, ptr %p.high
  %done = call i1 @tk_firsts_of_run(ptr %ctx, i32 %active, i64 %what, i64 %low, i64 %high, i64 %first, i64 %stride, ptr %packed, i64 1, i1 false)
  br i1 %done, label %end, label %lanes

lanes:
  call void @tk_spread(ptr %addresses, i64 %what, i64 %low, i64 %first, i64 %stride)
  %site = call i64 @tk_site(i64 %what)
  %size = call i64 @tk_size(i64 %what)
  call void @tk_store_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed)
  br label %end

end:
  ret void
}

define preserve_allcc void @tk_apart_load_shared(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 %stride) #0 {
entry:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  %p.low = getelementptr i8, ptr %ctx, i64 «shared»
  %p.high = getelementptr i8, ptr %ctx, i64 «shared_end»
  %low = load i64, ptr %p.low
  %high = load i64, ptr %p.high
  %packed = call ptr @tk_room(ptr %ctx, i64 %what, i64 1)
  %done = call i1 @tk_firsts_of_run(ptr %ctx, i32 %active, i64 %what, i64 %low, i64 %high, i64 %first, i64 %stride, ptr %packed, i64 0, i1 true)
  br i1 %done, label %end, label %lanes

lanes:
  call void @tk_spread(ptr %addresses, i64 %what, i64 %low, i64 %first, i64 %stride)
  %site = call i64 @tk_site(i64 %what)
  %size = call i64 @tk_size(i64 %what)
  call void @tk_load_shared(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed)
  br label %end

end:
  ret void
}

define preserve_allcc void @tk_apart_store_shared(ptr %ctx, i32 %active, i64 %what, i64 %first, i64 %stride, ptr %packed) #0 {
entry:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  %p.low = getelementptr i8, ptr %ctx, i64 «shared»
  %p.high = getelementptr i8, ptr %ctx, i64 «shared_end»
  %low = load i64, ptr %p.low
  %high = load i64, ptr %p.high
  %done = call i1 @tk_firsts_of_run(ptr %ctx, i32 %active, i64 %what, i64 %low, i64 %high, i64 %first, i64 %stride, ptr %packed, i64 1, i1 true)
  br i1 %done, label %end, label %lanes

lanes:
  call void @tk_spread(ptr %addresses, i64 %what, i64 %low, i64 %first, i64 %stride)
  %site = call i64 @tk_site(i64 %what)
  %size = call i64 @tk_size(i64 %what)
  call void @tk_store_shared(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed)
  br label %end

end:
  ret void
}

define internal i64 @tk_how(i64 %what) {
  %shifted = lshr i64 %what, 56
  %how = and i64 %shifted, 7
  ret i64 %how
}

define internal ptr @tk_packed(ptr %ctx) {
  %p.packed = getelementptr i8, ptr %ctx, i64 «staging»
  %packed = load ptr, ptr %p.packed
  ret ptr %packed
}

; The same for what `n` loads bring, cleared where lanes that are off get zeros.
define internal ptr @tk_room(ptr %ctx, i64 %what, i64 %n) {
entry:
  %packed = call ptr @tk_packed(ptr %ctx)
  %clears = and i64 %what, 576460752303423488     ; APART_CLEARS
  %keeps = icmp eq i64 %clears, 0
  br i1 %keeps, label %end, label %clear

clear:
  %size = call i64 @tk_size(i64 %what)
  %lanes = shl i64 %n, 5
  %n.bytes = mul i64 %lanes, %size
  call void @llvm.memset.p0.i64(ptr %packed, i8 0, i64 %n.bytes, i1 false)
  br label %end

end:
  ret ptr %packed
}

define internal ptr @tk_addresses(ptr %ctx) {
  %packed = call ptr @tk_packed(ptr %ctx)
  %addresses = getelementptr i8, ptr %packed, i64 512
  ret ptr %addresses
}

define internal i64 @tk_site(i64 %what) {
  %site = and i64 %what, 4294967295
  %not = xor i64 %site, -1
  %is.silent = icmp slt i64 %what, 0
  %given = select i1 %is.silent, i64 %not, i64 %site
  ret i64 %given
}

define internal i64 @tk_size(i64 %what) {
  %shifted = lshr i64 %what, 32
  %size = and i64 %shifted, 255
  ret i64 %size
}

@tk_everywhere = internal constant [2 x i64] zeroinitializer

define internal ptr @tk_interval(ptr %ctx, i64 %what) {
  %shifted = lshr i64 %what, 40
  %number = and i64 %shifted, 65535
  %before = sub i64 %number, 1
  %p.bounds = getelementptr i8, ptr %ctx, i64 «bounds»
  %bounds = load ptr, ptr %p.bounds
  %own = getelementptr [2 x i64], ptr %bounds, i64 %before
  %is.unknown = icmp eq i64 %number, 0
  %interval = select i1 %is.unknown, ptr @tk_everywhere, ptr %own
  ret ptr %interval
}

; Writes the lanes' addresses, unless they are there.
define internal void @tk_spread(ptr %addresses, i64 %what, i64 %low, i64 %first, i64 %stride) {
entry:
  %how = call i64 @tk_how(i64 %what)
  switch i64 %how, label %end [
    i64 1, label %offsets
    i64 2, label %by.stride
    i64 3, label %by.stride.in.32.bits
    i64 4, label %indexed
    i64 5, label %indexed
  ]

indexed:                                          ; products of 32 bits each, as the processor has them
  %index = load <32 x i32>, ptr %addresses, align 64
  %scale = trunc i64 %stride to i32
  %scale.1 = insertelement <32 x i32> poison, i32 %scale, i64 0
  %scale.n = shufflevector <32 x i32> %scale.1, <32 x i32> poison, <32 x i32> zeroinitializer
  %is.signed = icmp eq i64 %how, 4                ; How.INDEXED
  br i1 %is.signed, label %with.sign, label %without.sign

with.sign:
  %index.wide = sext <32 x i32> %index to <32 x i64>
  %scale.wide = sext <32 x i32> %scale.n to <32 x i64>
  %scaled.s = mul <32 x i64> %index.wide, %scale.wide
  br label %from.base

without.sign:
  %index.u.wide = zext <32 x i32> %index to <32 x i64>
  %scale.u.wide = zext <32 x i32> %scale.n to <32 x i64>
  %scaled.u = mul <32 x i64> %index.u.wide, %scale.u.wide
  br label %from.base

from.base:
  %scaled = phi <32 x i64> [ %scaled.s, %with.sign ], [ %scaled.u, %without.sign ]
  %base.1 = insertelement <32 x i64> poison, i64 %first, i64 0
  %base.n = shufflevector <32 x i64> %base.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %behind = add <32 x i64> %scaled, %base.n
  store <32 x i64> %behind, ptr %addresses, align 64
  br label %end

offsets:
  %offset = load <32 x i32>, ptr %addresses, align 64
  br label %widen

by.stride:
  %first.1 = insertelement <32 x i64> poison, i64 %first, i64 0
  %first.n = shufflevector <32 x i64> %first.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %stride.1 = insertelement <32 x i64> poison, i64 %stride, i64 0
  %stride.n = shufflevector <32 x i64> %stride.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %step = mul <32 x i64> %stride.n, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15, i64 16, i64 17, i64 18, i64 19, i64 20, i64 21, i64 22, i64 23, i64 24, i64 25, i64 26, i64 27, i64 28, i64 29, i64 30, i64 31>
  %each = add <32 x i64> %first.n, %step
  store <32 x i64> %each, ptr %addresses, align 64
  br label %end

by.stride.in.32.bits:
  %from.low = sub i64 %first, %low
  %short = trunc i64 %from.low to i32
  %short.1 = insertelement <32 x i32> poison, i32 %short, i64 0
  %short.n = shufflevector <32 x i32> %short.1, <32 x i32> poison, <32 x i32> zeroinitializer
  %gap = trunc i64 %stride to i32
  %gap.1 = insertelement <32 x i32> poison, i32 %gap, i64 0
  %gap.n = shufflevector <32 x i32> %gap.1, <32 x i32> poison, <32 x i32> zeroinitializer
  %gaps = mul <32 x i32> %gap.n, <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %around = add <32 x i32> %short.n, %gaps
  br label %widen

widen:
  %from.start = phi <32 x i32> [ %offset, %offsets ], [ %around, %by.stride.in.32.bits ]
  %wide = zext <32 x i32> %from.start to <32 x i64>
  %low.1 = insertelement <32 x i64> poison, i64 %low, i64 0
  %low.n = shufflevector <32 x i64> %low.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %host = add <32 x i64> %wide, %low.n
  store <32 x i64> %host, ptr %addresses, align 64
  br label %end

end:
  ret void
}

; What they go through. `site` < 0 means that nothing is counted; the site number for a
; fault report then travels in its complement.
define void @tk_load_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed) {
  %live = call i32 @tk_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, i64 0)
  call void @tk_pack(ptr %addresses, i32 %live, i64 %size, ptr %packed)
  ret void
}

define void @tk_store_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, ptr %packed) {
  %live = call i32 @tk_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, i64 1)
  call void @tk_unpack(ptr %addresses, i32 %live, i64 %size, ptr %packed)
  ret void
}

; The lanes that may touch global memory, counted. All lanes with one gap between them, the usual case, is
; arithmetic on the first address and the gap; the rest goes lane by lane.
define internal i32 @tk_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, i64 %store) {
entry:
  %address = load <32 x i64>, ptr %addresses, align 8
  %first = extractelement <32 x i64> %address, i64 0
  %second = extractelement <32 x i64> %address, i64 1
  %p.last = getelementptr i64, ptr %addresses, i64 31
  %last = load i64, ptr %p.last
  %gap = sub i64 %second, %first
  %before = shufflevector <32 x i64> %address, <32 x i64> poison, <32 x i32> <i32 0, i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30>
  %gaps = sub <32 x i64> %address, %before
  %gap.1 = insertelement <32 x i64> poison, i64 %gap, i64 0
  %gap.n = shufflevector <32 x i64> %gap.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %same = icmp eq <32 x i64> %gaps, %gap.n
  %same.bits = bitcast <32 x i1> %same to i32
  %same.but.first = or i32 %same.bits, 1
  %together = and i32 %same.but.first, %active
  %even = icmp eq i32 %together, -1
  %low.bits = sub i64 %size, 1
  %room = call i64 @llvm.usub.sat.i64(i64 %high, i64 %low.bits) ; 0, so nothing is below, where the tensor is unknown
  %above = icmp uge i64 %first, %low
  %below = icmp ult i64 %last, %room
  %upward = icmp ule i64 %gap, 1048576           ; so that no lane's address wraps
  %both = or i64 %first, %gap
  %rest = and i64 %both, %low.bits
  %aligned = icmp eq i64 %rest, 0
  %whole = icmp uge i64 %size, 4                  ; words, as banks have them
  %in.sectors = and i64 %gap, 31
  %is.small = icmp ule i64 %gap, 32
  %is.whole = icmp eq i64 %in.sectors, 0
  %regular = or i1 %is.small, %is.whole
  %ok.1 = and i1 %even, %above
  %ok.2 = and i1 %ok.1, %below
  %ok.3 = and i1 %ok.2, %upward
  %ok.4 = and i1 %ok.3, %aligned
  %ok.5 = and i1 %ok.4, %whole
  %ok = and i1 %ok.5, %regular
  br i1 %ok, label %simple, label %general

general:
  %live = call i32 @tk_access_global(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size, i64 %store)
  ret i32 %live

simple:
  %silent = icmp slt i64 %site, 0
  br i1 %silent, label %done, label %count

count:
  %misplaced = call i64 @tk_before_sector(i64 %low, i64 %size)
  %first.counted = sub i64 %first, %misplaced
  %last.counted = sub i64 %last, %misplaced
  %sector = lshr i64 %first.counted, 5
  %last.sector = lshr i64 %last.counted, 5
  %more = sub i64 %last.sector, %sector
  %record.0 = shl i64 %sector, 8
  %record.1 = or i64 %record.0, %store
  %p.cursor = getelementptr i8, ptr %ctx, i64 «trace_cursor»
  %cursor = load ptr, ptr %p.cursor
  br i1 %is.small, label %one.word, label %two.words

one.word:
  %more.at = shl i64 %more, 1
  %run = or i64 %record.1, %more.at
  store i64 %run, ptr %cursor
  br label %counted

two.words:
  %strided = or i64 %record.1, 2305843009213693952 ; TRACE_STRIDE_BIT
  store i64 %strided, ptr %cursor
  %p.gap = getelementptr i64, ptr %cursor, i64 1
  %gap.sectors = lshr i64 %gap, 5
  store i64 %gap.sectors, ptr %p.gap
  br label %counted

counted:
  %n.words = phi i64 [ 1, %one.word ], [ 2, %two.words ]
  %n.other = phi i64 [ %more, %one.word ], [ 31, %two.words ]
  %cursor.new = getelementptr i64, ptr %cursor, i64 %n.words
  store ptr %cursor.new, ptr %p.cursor
  %n.sectors = add i64 %n.other, 1
  %shift = call i64 @llvm.cttz.i64(i64 %size, i1 true)
  %step = lshr i64 %gap, %shift
  %phases.passes = call { i64, i64 } @tk_even_wavefronts(i64 %step, i64 %size)
  %passes = extractvalue { i64, i64 } %phases.passes, 0
  %is.store = icmp ne i64 %store, 0
  %banks = select i1 %is.store, i64 0, i64 %passes
  call void @tk_add(ptr %ctx, i64 %site, i32 -1, i64 %n.sectors, i64 %banks)
  br label %done

done:
  ret i32 -1
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
  %misplaced = call i64 @tk_before_sector(i64 %low, i64 %size)
  call void @tk_count_global(ptr %ctx, ptr %addresses, i32 %live, i64 %site, i64 %store, i64 %misplaced)
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
  %misplaced = call i64 @tk_before_sector(i64 %low, i64 %size)
  call void @tk_count_global(ptr %ctx, ptr %addresses, i32 %live, i64 %site, i64 %record, i64 %misplaced)
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
