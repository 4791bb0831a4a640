; What an access adds to the counters of its place in the kernel: sectors, wavefronts, and the trace.

; Adds one request over `live` lanes to a site: requests, lanes, and the two measures.
define internal void @tk_add(ptr %ctx, i64 %site, i32 %live, i64 %measure, i64 %excess) {
  %p.sites = getelementptr i8, ptr %ctx, i64 «sites»
  %sites = load ptr, ptr %p.sites
  %slot = getelementptr i64, ptr %sites, i64 %site
  %lanes32 = call i32 @llvm.ctpop.i32(i32 %live)
  %lanes = zext i32 %lanes32 to i64
  %a = insertelement <4 x i64> <i64 1, i64 0, i64 0, i64 0>, i64 %lanes, i64 1
  %b = insertelement <4 x i64> %a, i64 %measure, i64 2
  %c = insertelement <4 x i64> %b, i64 %excess, i64 3
  %old = load <4 x i64>, ptr %slot, align 8
  %new = add <4 x i64> %old, %c
  store <4 x i64> %new, ptr %slot, align 8
  ret void
}

; By how many bytes an allocation that starts at `low` misses the start of a sector, where a GPU's begin: as many as
; leave accesses of `size` bytes in one. 0 where the allocation is not known. Generated code has the same rule.
define internal i64 @tk_before_sector(i64 %low, i64 %size) {
  %most = call i64 @llvm.usub.sat.i64(i64 32, i64 %size)
  %misplaced = and i64 %low, %most
  ret i64 %misplaced
}

; Counts one global request: its distinct 32-byte sectors, each also appended to the trace. An access never
; crosses a sector, because it is aligned to its size of at most 32 bytes. `misplaced`: of @tk_before_sector.
define internal void @tk_count_global(ptr %ctx, ptr %addresses, i32 %live, i64 %site, i64 %store, i64 %misplaced) {
entry:
  %host = load <32 x i64>, ptr %addresses, align 8
  %misplaced.1 = insertelement <32 x i64> poison, i64 %misplaced, i64 0
  %misplaced.n = shufflevector <32 x i64> %misplaced.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %address = sub <32 x i64> %host, %misplaced.n
  %sector = lshr <32 x i64> %address, splat (i64 5)
  %sectors = alloca [32 x i64], align 64
  store <32 x i64> %sector, ptr %sectors, align 64
  %p.cursor = getelementptr i8, ptr %ctx, i64 «trace_cursor»
  %cursor0 = load ptr, ptr %p.cursor
  %empty = icmp eq i32 %live, 0
  br i1 %empty, label %end, label %prepare

prepare:                                          ; sectors that never go down: one starts where it differs from the last
  %kept = call i32 @tk_without_twins(<32 x i64> %sector, i32 %live)
  %rising = call { i32, i1 } @tk_firsts_of_rising(<32 x i64> %sector, i32 %kept, i32 0)
  %new.bits = extractvalue { i32, i1 } %rising, 0
  %ordered = extractvalue { i32, i1 } %rising, 1
  br i1 %ordered, label %all.at.once, label %lane.start

all.at.once:
  %n.new32 = call i32 @llvm.ctpop.i32(i32 %new.bits)
  %n.new = zext i32 %n.new32 to i64
  ; Sectors side by side are one record.
  %low.lane = call i32 @llvm.cttz.i32(i32 %kept, i1 true)
  %high.lane0 = call i32 @llvm.ctlz.i32(i32 %kept, i1 true)
  %high.lane = xor i32 %high.lane0, 31
  %p.low = getelementptr i64, ptr %sectors, i32 %low.lane
  %p.high = getelementptr i64, ptr %sectors, i32 %high.lane
  %low.sector = load i64, ptr %p.low
  %high.sector = load i64, ptr %p.high
  %more.sectors = sub i64 %high.sector, %low.sector
  %spanned = add i64 %more.sectors, 1
  %gapless = icmp eq i64 %spanned, %n.new
  br i1 %gapless, label %one.record, label %apart

one.record:
  %whole0 = shl i64 %low.sector, 8
  %whole1 = shl i64 %more.sectors, 1
  %whole2 = or i64 %whole0, %whole1
  %whole = or i64 %whole2, %store
  store i64 %whole, ptr %cursor0
  br label %recorded

apart:                                            ; the same gap between all lanes: one record of two words
  %before = shufflevector <32 x i64> %sector, <32 x i64> poison, <32 x i32> <i32 0, i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30>
  %gap = sub <32 x i64> %sector, %before
  %all.live = icmp eq i32 %kept, -1
  %gap.one = extractelement <32 x i64> %gap, i64 1
  %gap.1 = insertelement <32 x i64> poison, i64 %gap.one, i64 0
  %gap.n = shufflevector <32 x i64> %gap.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %gap.same = icmp eq <32 x i64> %gap, %gap.n
  %gap.bits = bitcast <32 x i1> %gap.same to i32
  %gap.all = icmp eq i32 %gap.bits, -2
  %gap.small = icmp ult i64 %gap.one, 4294967296 ; and up, so that the word is no block's mark
  %strided0 = and i1 %all.live, %gap.all
  %strided = and i1 %strided0, %gap.small
  br i1 %strided, label %two.words, label %many.records

two.words:
  %strided.1 = shl i64 %low.sector, 8
  %strided.2 = or i64 %strided.1, %store
  %strided.3 = or i64 %strided.2, 2305843009213693952 ; TRACE_STRIDE_BIT
  store i64 %strided.3, ptr %cursor0
  %p.gap = getelementptr i64, ptr %cursor0, i64 1
  store i64 %gap.one, ptr %p.gap
  br label %recorded

many.records:
  %some.bits = phi i32 [ %new.bits, %apart ], [ %firsts.found, %lane.done ]
  %n.some = phi i64 [ %n.new, %apart ], [ %n.firsts, %lane.done ]
  %is.few = icmp ule i64 %n.some, 4
  br i1 %is.few, label %few, label %squeeze.start

few:
  %f.bits = phi i32 [ %some.bits, %many.records ], [ %f.bits.next, %few ]
  %f.cursor = phi ptr [ %cursor0, %many.records ], [ %f.cursor.next, %few ]
  %f.lane = call i32 @llvm.cttz.i32(i32 %f.bits, i1 true)
  %f.p.sector = getelementptr i64, ptr %sectors, i32 %f.lane
  %f.sector = load i64, ptr %f.p.sector
  %f.record0 = shl i64 %f.sector, 8
  %f.record = or i64 %f.record0, %store
  store i64 %f.record, ptr %f.cursor
  %f.cursor.next = getelementptr i64, ptr %f.cursor, i64 1
  %f.minus = sub i32 %f.bits, 1
  %f.bits.next = and i32 %f.bits, %f.minus
  %f.more = icmp ne i32 %f.bits.next, 0
  br i1 %f.more, label %few, label %recorded

squeeze.start:                                    ; eight lanes at a time: compressing in registers is the fast way
  %store.1 = insertelement <8 x i64> poison, i64 %store, i64 0
  %store.n = shufflevector <8 x i64> %store.1, <8 x i64> poison, <8 x i32> zeroinitializer
  br label %squeeze

squeeze:
  %q = phi i64 [ 0, %squeeze.start ], [ %q.next, %squeeze ]
  %q.cursor = phi ptr [ %cursor0, %squeeze.start ], [ %q.cursor.next, %squeeze ]
  %q.bits = phi i32 [ %some.bits, %squeeze.start ], [ %q.bits.next, %squeeze ]
  %q.from = getelementptr i64, ptr %sectors, i64 %q
  %q.sector = load <8 x i64>, ptr %q.from, align 64
  %q.record0 = shl <8 x i64> %q.sector, splat (i64 8)
  %q.record = or <8 x i64> %q.record0, %store.n
  %q.bits8 = trunc i32 %q.bits to i8
  %q.mask = bitcast i8 %q.bits8 to <8 x i1>
  %q.packed = call <8 x i64> @llvm.experimental.vector.compress.v8i64(<8 x i64> %q.record, <8 x i1> %q.mask, <8 x i64> poison)
  store <8 x i64> %q.packed, ptr %q.cursor, align 8
  %q.n8 = call i8 @llvm.ctpop.i8(i8 %q.bits8)
  %q.n = zext i8 %q.n8 to i64
  %q.cursor.next = getelementptr i64, ptr %q.cursor, i64 %q.n
  %q.bits.next = lshr i32 %q.bits, 8
  %q.next = add i64 %q, 8
  %q.more = icmp ult i64 %q.next, 32
  br i1 %q.more, label %squeeze, label %recorded

recorded:
  %n.records = phi i64 [ 1, %one.record ], [ 2, %two.words ], [ %n.some, %few ], [ %n.some, %squeeze ]
  %n.sectors = phi i64 [ %n.new, %one.record ], [ %n.new, %two.words ], [ %n.some, %few ], [ %n.some, %squeeze ]
  %cursor.new = getelementptr i64, ptr %cursor0, i64 %n.records
  store ptr %cursor.new, ptr %p.cursor
  call void @tk_add(ptr %ctx, i64 %site, i32 %live, i64 %n.sectors, i64 0)
  ret void

lane.start:                                       ; in any order: the first lane of each sector
  %key = call { <32 x i32>, i1 } @tk_keys(<32 x i64> %sector, i32 %kept, i32 31)
  %key.n = extractvalue { <32 x i32>, i1 } %key, 0
  %key.fits = extractvalue { <32 x i32>, i1 } %key, 1
  br i1 %key.fits, label %lane.firsts, label %lane.loop

lane.firsts:
  %firsts.all = call i32 @tk_firsts(<32 x i32> %key.n)
  %firsts.live = and i32 %firsts.all, %kept
  br label %lane.done

lane.loop:                                        ; too far apart: one sector after the other, and all lanes that share it
  %left = phi i32 [ %kept, %lane.start ], [ %left.next, %lane.loop ]
  %firsts = phi i32 [ 0, %lane.start ], [ %firsts.next, %lane.loop ]
  %lane = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %p.sector = getelementptr i64, ptr %sectors, i32 %lane
  %s = load i64, ptr %p.sector
  %s.1 = insertelement <32 x i64> poison, i64 %s, i64 0
  %s.n = shufflevector <32 x i64> %s.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %sharing = icmp eq <32 x i64> %sector, %s.n
  %sharing.bits = bitcast <32 x i1> %sharing to i32
  %bit = shl i32 1, %lane
  %firsts.next = or i32 %firsts, %bit
  %others = xor i32 %sharing.bits, -1
  %left.next = and i32 %left, %others
  %more = icmp ne i32 %left.next, 0
  br i1 %more, label %lane.loop, label %lane.done

lane.done:
  %firsts.found = phi i32 [ %firsts.live, %lane.firsts ], [ %firsts.next, %lane.loop ]
  %n.firsts32 = call i32 @llvm.ctpop.i32(i32 %firsts.found)
  %n.firsts = zext i32 %n.firsts32 to i64
  br label %many.records

end:
  ret void
}

; 32-bit numbers that are equal where the lanes' values are, and whether there are such: where the values of the lanes
; that are on lie within 2^bits of each other. Lanes that are off equal no other lane.
define internal { <32 x i32>, i1 } @tk_keys(<32 x i64> %value, i32 %live, i32 %bits) {
  %lane = call i32 @llvm.cttz.i32(i32 %live, i1 true)
  %one = extractelement <32 x i64> %value, i32 %lane
  %bits64 = zext i32 %bits to i64
  %room = shl i64 1, %bits64
  %half = lshr i64 %room, 1
  %least = sub i64 %one, %half
  %least.1 = insertelement <32 x i64> poison, i64 %least, i64 0
  %least.n = shufflevector <32 x i64> %least.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %apart = sub <32 x i64> %value, %least.n
  %room.1 = insertelement <32 x i64> poison, i64 %room, i64 0
  %room.n = shufflevector <32 x i64> %room.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %near = icmp ult <32 x i64> %apart, %room.n
  %near.bits = bitcast <32 x i1> %near to i32
  %off = xor i32 %live, -1
  %near.or.off = or i32 %near.bits, %off
  %fits = icmp eq i32 %near.or.off, -1
  %short = trunc <32 x i64> %apart to <32 x i32>
  %live.n = bitcast i32 %live to <32 x i1>
  %key = select <32 x i1> %live.n, <32 x i32> %short, <32 x i32> <i32 -2147483648, i32 -2147483647, i32 -2147483646, i32 -2147483645, i32 -2147483644, i32 -2147483643, i32 -2147483642, i32 -2147483641, i32 -2147483640, i32 -2147483639, i32 -2147483638, i32 -2147483637, i32 -2147483636, i32 -2147483635, i32 -2147483634, i32 -2147483633, i32 -2147483632, i32 -2147483631, i32 -2147483630, i32 -2147483629, i32 -2147483628, i32 -2147483627, i32 -2147483626, i32 -2147483625, i32 -2147483624, i32 -2147483623, i32 -2147483622, i32 -2147483621, i32 -2147483620, i32 -2147483619, i32 -2147483618, i32 -2147483617>
  %r.0 = insertvalue { <32 x i32>, i1 } poison, <32 x i32> %key, 0
  %r.1 = insertvalue { <32 x i32>, i1 } %r.0, i1 %fits, 1
  ret { <32 x i32>, i1 } %r.1
}

; The lanes whose key no lower lane has: from the highest lane down, each writes its number wherever its key stands.
define internal i32 @tk_firsts(<32 x i32> %key) {
entry:
  %keys = alloca [32 x i32], align 64
  store <32 x i32> %key, ptr %keys, align 64
  br label %lane

lane:
  %l.more = phi i32 [ 32, %entry ], [ %l, %lane ]
  %lowest = phi <32 x i32> [ zeroinitializer, %entry ], [ %lowest.next, %lane ]
  %l = sub i32 %l.more, 1
  %p.key = getelementptr i32, ptr %keys, i32 %l
  %k = load i32, ptr %p.key
  %k.1 = insertelement <32 x i32> poison, i32 %k, i64 0
  %k.n = shufflevector <32 x i32> %k.1, <32 x i32> poison, <32 x i32> zeroinitializer
  %same = icmp eq <32 x i32> %key, %k.n
  %l.1 = insertelement <32 x i32> poison, i32 %l, i64 0
  %l.n = shufflevector <32 x i32> %l.1, <32 x i32> poison, <32 x i32> zeroinitializer
  %lowest.next = select <32 x i1> %same, <32 x i32> %l.n, <32 x i32> %lowest
  %more = icmp ne i32 %l, 0
  br i1 %more, label %lane, label %done

done:
  %is.first = icmp eq <32 x i32> %lowest.next, <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %bits = bitcast <32 x i1> %is.first to i32
  ret i32 %bits
}

; Counts one shared request: its wavefronts, and those above one a phase.
define internal void @tk_count_shared(ptr %ctx, ptr %addresses, i32 %live, i64 %site, i64 %size) {
entry:
  %empty = icmp eq i32 %live, 0
  br i1 %empty, label %end, label %count

count:
  %wavefronts = call { i64, i64 } @tk_wavefronts(ptr %addresses, i32 %live, i64 %size)
  %total = extractvalue { i64, i64 } %wavefronts, 0
  %ideal = extractvalue { i64, i64 } %wavefronts, 1
  %excess = sub i64 %total, %ideal
  call void @tk_add(ptr %ctx, i64 %site, i32 %live, i64 %total, i64 %excess)
  br label %end

end:
  ret void
}

; Adds the wavefronts of one global load, which passes the same banks, to the last counter of its site.
define internal void @tk_count_banks(ptr %ctx, ptr %addresses, i32 %live, i64 %site, i64 %size) {
entry:
  %empty = icmp eq i32 %live, 0
  br i1 %empty, label %end, label %count

count:
  %wavefronts = call { i64, i64 } @tk_wavefronts(ptr %addresses, i32 %live, i64 %size)
  %total = extractvalue { i64, i64 } %wavefronts, 0
  %p.sites = getelementptr i8, ptr %ctx, i64 «sites»
  %sites = load ptr, ptr %p.sites
  %last = add i64 %site, 3
  %slot = getelementptr i64, ptr %sites, i64 %last
  %old = load i64, ptr %slot
  %new = add i64 %old, %total
  store i64 %new, ptr %slot
  br label %end

end:
  ret void
}

; Wavefronts of one request by `live` (not 0) lanes, and how many it would take without conflicts. Lanes are served
; in phases of 32, 16 (8-byte) or 8 (16-byte); a phase takes as many wavefronts as the most distinct words that any
; one bank must deliver.
;
; Each (phase, bank group) has a bit. There are as many bits as lanes only if all differ: then no two lanes of a phase
; want the same banks, and each phase with a lane takes one wavefront.
define internal { i64, i64 } @tk_wavefronts(ptr %addresses, i32 %live, i64 %size) {
entry:
  %live.less = sub i32 %live, 1
  %live.others = and i32 %live, %live.less
  %is.one = icmp eq i32 %live.others, 0
  br i1 %is.one, label %one, label %several

one:
  ret { i64, i64 } { i64 1, i64 1 }

several:
  %size32 = trunc i64 %size to i32
  %unit.bytes = call i32 @llvm.umax.i32(i32 %size32, i32 4)
  %shift = call i32 @llvm.cttz.i32(i32 %unit.bytes, i1 true)
  %lanes.a.phase = lshr i32 128, %shift           ; units side by side across the 32 banks
  %group.mask = sub i32 %lanes.a.phase, 1
  %group.mask.1 = insertelement <32 x i32> poison, i32 %group.mask, i64 0
  %group.mask.n = shufflevector <32 x i32> %group.mask.1, <32 x i32> poison, <32 x i32> zeroinitializer
  %address = load <32 x i64>, ptr %addresses, align 8
  %shift64 = zext i32 %shift to i64
  %shift64.1 = insertelement <32 x i64> poison, i64 %shift64, i64 0
  %shift64.n = shufflevector <32 x i64> %shift64.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %unit64 = lshr <32 x i64> %address, %shift64.n
  ; Lanes of a phase that want the same unit are served together: only the first of them counts, where it is known.
  %is.whole = icmp eq i32 %lanes.a.phase, 32
  %kept.all = call i32 @tk_without_twins(<32 x i64> %unit64, i32 %live)
  %kept = select i1 %is.whole, i32 %kept.all, i32 %live
  %starts.8 = select i1 %is.whole, i32 1, i32 65537
  %is.widest = icmp ult i32 %lanes.a.phase, 16
  %starts.16 = select i1 %is.widest, i32 16843009, i32 %starts.8
  %is.wider = icmp ult i32 %lanes.a.phase, 8
  %starts = select i1 %is.wider, i32 286331153, i32 %starts.16
  %rising = call { i32, i1 } @tk_firsts_of_rising(<32 x i64> %unit64, i32 %kept, i32 %starts)
  %firsts.rising = extractvalue { i32, i1 } %rising, 0
  %is.rising = extractvalue { i32, i1 } %rising, 1
  %firsts = select i1 %is.rising, i32 %firsts.rising, i32 %kept
  %known = select i1 %is.rising, i32 %firsts.rising, i32 0
  %unit = trunc <32 x i64> %unit64 to <32 x i32>
  %group.n = and <32 x i32> %unit, %group.mask.n
  %phase.part = xor <32 x i32> %group.mask.n, splat (i32 -1)
  %lane.n = and <32 x i32> %phase.part, <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %place.n = or <32 x i32> %lane.n, %group.n
  %bit.n = shl <32 x i32> splat (i32 1), %place.n
  %first.n = bitcast i32 %firsts to <32 x i1>
  %bits.n = select <32 x i1> %first.n, <32 x i32> %bit.n, <32 x i32> zeroinitializer
  %bits = call i32 @llvm.vector.reduce.or.v32i32(<32 x i32> %bits.n)
  %n.bits = call i32 @llvm.ctpop.i32(i32 %bits)
  %n.firsts = call i32 @llvm.ctpop.i32(i32 %firsts)
  %all.differ = icmp eq i32 %n.bits, %n.firsts
  br i1 %all.differ, label %free, label %conflicts

conflicts:
  %counted = call { i64, i64 } @tk_conflicts(ptr %addresses, i32 %live, i64 %size, i32 %known)
  ret { i64, i64 } %counted

free:
  %one.shl = shl i32 1, %lanes.a.phase
  %phase.low = sub i32 %one.shl, 1
  %phase.mask = select i1 %is.whole, i32 -1, i32 %phase.low
  %phases.only = xor i32 %group.mask, -1
  br label %phase

phase:
  %left = phi i32 [ %live, %free ], [ %left.next, %phase ]
  %n = phi i64 [ 0, %free ], [ %n.next, %phase ]
  %first = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %its.start = and i32 %first, %phases.only
  %its.lanes = shl i32 %phase.mask, %its.start
  %others = xor i32 %its.lanes, -1
  %left.next = and i32 %left, %others
  %n.next = add i64 %n, 1
  %more = icmp ne i32 %left.next, 0
  br i1 %more, label %phase, label %done

done:
  %r.0 = insertvalue { i64, i64 } poison, i64 %n.next, 0
  %r.1 = insertvalue { i64, i64 } %r.0, i64 %n.next, 1
  ret { i64, i64 } %r.1
}

; The same where two lanes or more of a phase want the same banks. `known`: the first lane of each unit of a phase, or 0.
define internal { i64, i64 } @tk_conflicts(ptr %addresses, i32 %live, i64 %size, i32 %known) noinline {
entry:
  %conflicts = alloca [32 x i8], align 64
  %units = alloca [32 x i64], align 64
  %places = alloca [32 x i64], align 64
  %narrow = icmp ult i64 %size, 4
  %unit.bytes = select i1 %narrow, i64 4, i64 %size
  %unit.bytes32 = trunc i64 %unit.bytes to i32
  %shift32 = call i32 @llvm.cttz.i32(i32 %unit.bytes32, i1 true)
  %shift = zext i32 %shift32 to i64
  %shift.1 = insertelement <32 x i64> poison, i64 %shift, i64 0
  %shift.n = shufflevector <32 x i64> %shift.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %address = load <32 x i64>, ptr %addresses, align 8
  %unit = lshr <32 x i64> %address, %shift.n
  store <32 x i64> %unit, ptr %units, align 64
  %groups = udiv i64 128, %unit.bytes             ; units side by side across the 32 banks
  %group.mask = sub i64 %groups, 1
  %lanes.a.phase = trunc i64 %groups to i32
  %is.whole = icmp eq i32 %lanes.a.phase, 32
  %one.shl = shl i32 1, %lanes.a.phase
  %phase.low = sub i32 %one.shl, 1
  %phase.mask0 = select i1 %is.whole, i32 -1, i32 %phase.low
  %group.mask.1 = insertelement <32 x i64> poison, i64 %group.mask, i64 0
  %group.mask.n = shufflevector <32 x i64> %group.mask.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %group.n = and <32 x i64> %unit, %group.mask.n
  %phase.part = xor <32 x i64> %group.mask.n, splat (i64 -1)
  %lane.n = and <32 x i64> %phase.part, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15, i64 16, i64 17, i64 18, i64 19, i64 20, i64 21, i64 22, i64 23, i64 24, i64 25, i64 26, i64 27, i64 28, i64 29, i64 30, i64 31>
  %place.n = or <32 x i64> %lane.n, %group.n
  %live.n = bitcast i32 %live to <32 x i1>
  ; One step between all lanes: what the step and the banks share
  %before = shufflevector <32 x i64> %unit, <32 x i64> poison, <32 x i32> <i32 0, i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30>
  %step = sub <32 x i64> %unit, %before
  %step.one = extractelement <32 x i64> %step, i64 1
  %step.1 = insertelement <32 x i64> poison, i64 %step.one, i64 0
  %step.n = shufflevector <32 x i64> %step.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %step.same = icmp eq <32 x i64> %step, %step.n
  %step.bits = bitcast <32 x i1> %step.same to i32
  %step.all = or i32 %step.bits, 1
  %step.both = and i32 %step.all, %live
  %is.stride = icmp eq i32 %step.both, -1
  br i1 %is.stride, label %stride.done, label %words

stride.done:
  %even = call { i64, i64 } @tk_even_wavefronts(i64 %step.one, i64 %unit.bytes)
  ret { i64, i64 } %even

words:                                            ; first lanes of each word of a phase, counted by bank
  %groups32 = trunc i64 %groups to i32
  %phase.count = udiv i32 32, %groups32
  %phase.bits = call i32 @llvm.cttz.i32(i32 %phase.count, i1 true)
  %phase.room = sub i32 31, %phase.bits
  %is.known = icmp ne i32 %known, 0
  br i1 %is.known, label %word.start, label %word.find

word.find:
  %word = call { <32 x i32>, i1 } @tk_keys(<32 x i64> %unit, i32 %live, i32 %phase.room)
  %word.n = extractvalue { <32 x i32>, i1 } %word, 0
  %word.fits = extractvalue { <32 x i32>, i1 } %word, 1
  br i1 %word.fits, label %word.firsts, label %phase

word.firsts:
  %bits.1 = insertelement <32 x i32> poison, i32 %phase.bits, i64 0
  %bits.each = shufflevector <32 x i32> %bits.1, <32 x i32> poison, <32 x i32> zeroinitializer
  %groups.bits = sub i32 5, %phase.bits
  %groups.1 = insertelement <32 x i32> poison, i32 %groups.bits, i64 0
  %groups.n = shufflevector <32 x i32> %groups.1, <32 x i32> poison, <32 x i32> zeroinitializer
  %phase.n = lshr <32 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>, %groups.n
  %word.shifted = shl <32 x i32> %word.n, %bits.each
  %word.phased = or <32 x i32> %word.shifted, %phase.n
  %off.n = select <32 x i1> %live.n, <32 x i32> %word.phased, <32 x i32> <i32 -2147483648, i32 -2147483647, i32 -2147483646, i32 -2147483645, i32 -2147483644, i32 -2147483643, i32 -2147483642, i32 -2147483641, i32 -2147483640, i32 -2147483639, i32 -2147483638, i32 -2147483637, i32 -2147483636, i32 -2147483635, i32 -2147483634, i32 -2147483633, i32 -2147483632, i32 -2147483631, i32 -2147483630, i32 -2147483629, i32 -2147483628, i32 -2147483627, i32 -2147483626, i32 -2147483625, i32 -2147483624, i32 -2147483623, i32 -2147483622, i32 -2147483621, i32 -2147483620, i32 -2147483619, i32 -2147483618, i32 -2147483617>
  %word.first.all = call i32 @tk_firsts(<32 x i32> %off.n)
  %word.first.found = and i32 %word.first.all, %live
  br label %word.start

word.start:
  %word.first = phi i32 [ %known, %words ], [ %word.first.found, %word.firsts ]
  store <32 x i64> %place.n, ptr %places, align 64
  call void @llvm.memset.p0.i64(ptr %conflicts, i8 0, i64 32, i1 false)
  br label %word.loop

word.loop:
  %word.left = phi i32 [ %word.first, %word.start ], [ %word.left.next, %word.loop ]
  %word.lane = call i32 @llvm.cttz.i32(i32 %word.left, i1 true)
  %p.place = getelementptr i64, ptr %places, i32 %word.lane
  %bank = load i64, ptr %p.place
  %p.bank = getelementptr i8, ptr %conflicts, i64 %bank
  %bank.old = load i8, ptr %p.bank
  %bank.new = add i8 %bank.old, 1
  store i8 %bank.new, ptr %p.bank
  %word.minus = sub i32 %word.left, 1
  %word.left.next = and i32 %word.left, %word.minus
  %word.more = icmp ne i32 %word.left.next, 0
  br i1 %word.more, label %word.loop, label %word.done

word.done:                                        ; the most of any bank, by quarters of the places; a phase has 1, 2 or 4
  %counts = load <32 x i8>, ptr %conflicts, align 64
  %q.0 = shufflevector <32 x i8> %counts, <32 x i8> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %q.1 = shufflevector <32 x i8> %counts, <32 x i8> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %q.2 = shufflevector <32 x i8> %counts, <32 x i8> poison, <8 x i32> <i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %q.3 = shufflevector <32 x i8> %counts, <32 x i8> poison, <8 x i32> <i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %m.0 = call i8 @llvm.vector.reduce.umax.v8i8(<8 x i8> %q.0)
  %m.1 = call i8 @llvm.vector.reduce.umax.v8i8(<8 x i8> %q.1)
  %m.2 = call i8 @llvm.vector.reduce.umax.v8i8(<8 x i8> %q.2)
  %m.3 = call i8 @llvm.vector.reduce.umax.v8i8(<8 x i8> %q.3)
  %low.most = call i8 @llvm.umax.i8(i8 %m.0, i8 %m.1)
  %high.most = call i8 @llvm.umax.i8(i8 %m.2, i8 %m.3)
  %all.most = call i8 @llvm.umax.i8(i8 %low.most, i8 %high.most)
  %two.sum = add i8 %low.most, %high.most
  %sum.01 = add i8 %m.0, %m.1
  %sum.23 = add i8 %m.2, %m.3
  %four.sum = add i8 %sum.01, %sum.23
  %is.two = icmp eq i32 %phase.bits, 1
  %some.sum = select i1 %is.two, i8 %two.sum, i8 %four.sum
  %word.total8 = select i1 %is.whole, i8 %all.most, i8 %some.sum
  %word.total = zext i8 %word.total8 to i64
  br label %ideal.loop

ideal.loop:                                       ; without conflicts each phase with a lane would take one
  %ideal.start = phi i32 [ 0, %word.done ], [ %ideal.start.next, %ideal.loop ]
  %ideal.sum = phi i64 [ 0, %word.done ], [ %ideal.sum.next, %ideal.loop ]
  %ideal.mask = shl i32 %phase.mask0, %ideal.start
  %ideal.here = and i32 %live, %ideal.mask
  %ideal.any = icmp ne i32 %ideal.here, 0
  %ideal.one = zext i1 %ideal.any to i64
  %ideal.sum.next = add i64 %ideal.sum, %ideal.one
  %ideal.start.next = add i32 %ideal.start, %lanes.a.phase
  %ideal.more.on = icmp ult i32 %ideal.start.next, 32
  br i1 %ideal.more.on, label %ideal.loop, label %ideal.done

ideal.done:
  %w.0 = insertvalue { i64, i64 } poison, i64 %word.total, 0
  %w.1 = insertvalue { i64, i64 } %w.0, i64 %ideal.sum.next, 1
  ret { i64, i64 } %w.1

phase:
  %start = phi i32 [ 0, %word.find ], [ %start.next, %phase.end ]
  %total = phi i64 [ 0, %word.find ], [ %total.next, %phase.end ]
  %ideal = phi i64 [ 0, %word.find ], [ %ideal.next, %phase.end ]
  %phase.mask = shl i32 %phase.mask0, %start
  %here = and i32 %live, %phase.mask
  %idle = icmp eq i32 %here, 0
  br i1 %idle, label %phase.end, label %phase.start

phase.start:
  call void @llvm.memset.p0.i64(ptr %conflicts, i8 0, i64 32, i1 false)
  br label %lane.loop

lane.loop:
  %left = phi i32 [ %here, %phase.start ], [ %left.next, %lane.loop ]
  %most = phi i8 [ 0, %phase.start ], [ %most.next, %lane.loop ]
  %lane = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %lane64 = zext i32 %lane to i64
  %p.unit = getelementptr i64, ptr %units, i64 %lane64
  %u = load i64, ptr %p.unit
  %u.1 = insertelement <32 x i64> poison, i64 %u, i64 0
  %u.n = shufflevector <32 x i64> %u.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %equal = icmp eq <32 x i64> %unit, %u.n
  %equal.bits = bitcast <32 x i1> %equal to i32
  %group = and i64 %u, %group.mask
  %p.group = getelementptr i8, ptr %conflicts, i64 %group
  %old = load i8, ptr %p.group
  %new = add i8 %old, 1
  store i8 %new, ptr %p.group
  %worse = icmp ugt i8 %new, %most
  %most.next = select i1 %worse, i8 %new, i8 %most
  %others = xor i32 %equal.bits, -1
  %left.next = and i32 %left, %others             ; lanes that want the same word are served together
  %more = icmp ne i32 %left.next, 0
  br i1 %more, label %lane.loop, label %phase.done

phase.done:
  %most64 = zext i8 %most.next to i64
  %total.more = add i64 %total, %most64
  %ideal.more = add i64 %ideal, 1
  br label %phase.end

phase.end:
  %total.next = phi i64 [ %total, %phase ], [ %total.more, %phase.done ]
  %ideal.next = phi i64 [ %ideal, %phase ], [ %ideal.more, %phase.done ]
  %start.next = add i32 %start, %lanes.a.phase
  %phases.more = icmp ult i32 %start.next, 32
  br i1 %phases.more, label %phase, label %finish

finish:
  %r.0 = insertvalue { i64, i64 } poison, i64 %total.next, 0
  %r.1 = insertvalue { i64, i64 } %r.0, i64 %ideal.next, 1
  ret { i64, i64 } %r.1
}

; Wavefronts of all lanes, `step` units of `size` bytes (4, 8 or 16) apart, and without conflicts: a phase takes the
; largest power of two that the step shares with the units across the banks.
define internal { i64, i64 } @tk_even_wavefronts(i64 %step, i64 %size) {
  %groups = udiv i64 128, %size
  %stays = icmp eq i64 %step, 0
  %back = sub i64 0, %step
  %power = and i64 %step, %back
  %clipped = call i64 @llvm.umin.i64(i64 %power, i64 %groups)
  %a.phase = select i1 %stays, i64 1, i64 %clipped
  %n.phases = udiv i64 32, %groups
  %total = mul i64 %n.phases, %a.phase
  %r.0 = insertvalue { i64, i64 } poison, i64 %total, 0
  %r.1 = insertvalue { i64, i64 } %r.0, i64 %n.phases, 1
  ret { i64, i64 } %r.1
}
