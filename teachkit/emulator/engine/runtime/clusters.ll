; Clusters: addresses in the shared memory of any of its blocks, and the barrier that all their threads meet at.
;
; An address in shared::cluster is an offset of 24 bits and, above it, 1 + the rank of the block; 0 there means the block
; that uses the address, so that its own shared::cta addresses are such as they stand. A generic one is the host's.
; What leads nowhere gets bit 56, which no address of the host has, so that the check of bounds that follows reports it.

define internal i64 @tk_cluster_own(ptr %ctx) {   ; 1 + the rank of the block that runs
entry:
  %p.ctaid = getelementptr i8, ptr %ctx, i64 «ctaid»
  %p.size = getelementptr i8, ptr %ctx, i64 «cluster_nctaid»
  %ctaid = load <3 x i32>, ptr %p.ctaid, align 4
  %size = load <3 x i32>, ptr %p.size, align 4
  %x.at = extractelement <3 x i32> %ctaid, i32 0
  %y.at = extractelement <3 x i32> %ctaid, i32 1
  %z.at = extractelement <3 x i32> %ctaid, i32 2
  %x.n = extractelement <3 x i32> %size, i32 0
  %y.n = extractelement <3 x i32> %size, i32 1
  %z.n = extractelement <3 x i32> %size, i32 2
  %x = urem i32 %x.at, %x.n
  %y = urem i32 %y.at, %y.n
  %z = urem i32 %z.at, %z.n
  %z.rows = mul i32 %z, %y.n
  %rows = add i32 %z.rows, %y
  %before = mul i32 %rows, %x.n
  %rank = add i32 %before, %x
  %next = add i32 %rank, 1
  %wide = zext i32 %next to i64
  ret i64 %wide
}

; 1 + the rank of the block, as a number of 32 bits.
define i32 @tk_cluster_rank(ptr %ctx) {
  %own = call i64 @tk_cluster_own(ptr %ctx)
  %narrow = trunc i64 %own to i32
  ret i32 %narrow
}

; Addresses in shared::cluster become those of the host.
define void @tk_cluster_hosts(ptr %ctx, ptr %addresses) {
entry:
  %own = call i64 @tk_cluster_own(ptr %ctx)
  %p.state = getelementptr i8, ptr %ctx, i64 «cluster»
  %state = load ptr, ptr %p.state
  %p.arena = getelementptr i8, ptr %state, i64 «cluster.arena»
  %p.shift = getelementptr i8, ptr %state, i64 «cluster.shift»
  %p.size = getelementptr i8, ptr %state, i64 «cluster.size»
  %arena = load i64, ptr %p.arena
  %shift = load i64, ptr %p.shift
  %size = load i64, ptr %p.size
  %room = shl i64 1, %shift
  br label %lane

lane:
  %i = phi i64 [ 0, %entry ], [ %i.next, %lane ]
  %p = getelementptr i64, ptr %addresses, i64 %i
  %a = load i64, ptr %p
  %high = lshr i64 %a, 24
  %is.own = icmp eq i64 %high, 0
  %block = select i1 %is.own, i64 %own, i64 %high
  %offset = and i64 %a, 16777215
  %rank = sub i64 %block, 1
  %there = icmp ult i64 %rank, %size
  %fits = icmp ult i64 %offset, %room
  %good = and i1 %there, %fits
  %rank.low = and i64 %rank, 255
  %at = shl i64 %rank.low, %shift
  %base = add i64 %arena, %at
  %host = add i64 %base, %offset
  %block.low = and i64 %block, 4294967295
  %above = shl i64 %block.low, 24
  %name = or i64 %above, %offset
  %nowhere = or i64 %name, 72057594037927936      ; NOWHERE
  %result = select i1 %good, i64 %host, i64 %nowhere
  store i64 %result, ptr %p
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, 32
  br i1 %more, label %lane, label %end

end:
  ret void
}

; The reverse: 1 + the rank above the offset.
define void @tk_cluster_names(ptr %ctx, ptr %addresses) {
entry:
  %p.state = getelementptr i8, ptr %ctx, i64 «cluster»
  %state = load ptr, ptr %p.state
  %p.arena = getelementptr i8, ptr %state, i64 «cluster.arena»
  %p.shift = getelementptr i8, ptr %state, i64 «cluster.shift»
  %p.size = getelementptr i8, ptr %state, i64 «cluster.size»
  %arena = load i64, ptr %p.arena
  %shift = load i64, ptr %p.shift
  %size = load i64, ptr %p.size
  %room = shl i64 1, %shift
  %within = sub i64 %room, 1
  br label %lane

lane:
  %i = phi i64 [ 0, %entry ], [ %i.next, %lane ]
  %p = getelementptr i64, ptr %addresses, i64 %i
  %a = load i64, ptr %p
  %from = sub i64 %a, %arena
  %rank = lshr i64 %from, %shift
  %there = icmp ult i64 %rank, %size
  %block = add i64 %rank, 1
  %above = shl i64 %block, 24
  %offset = and i64 %from, %within
  %name = or i64 %above, %offset
  %low = and i64 %a, 16777215
  %nowhere = or i64 %low, 72058693549555712       ; NOWHERE, and bit 40: it never was in shared memory
  %result = select i1 %there, i64 %name, i64 %nowhere
  store i64 %result, ptr %p
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, 32
  br i1 %more, label %lane, label %end

end:
  ret void
}

; Of addresses of the host, those in the cluster's shared memory that are beyond a block's own become ones that lead
; nowhere. Gives the lanes whose address is, or was, in that memory.
define i32 @tk_cluster_check(ptr %ctx, ptr %addresses, i64 %n) {
entry:
  %p.state = getelementptr i8, ptr %ctx, i64 «cluster»
  %state = load ptr, ptr %p.state
  %p.arena = getelementptr i8, ptr %state, i64 «cluster.arena»
  %p.shift = getelementptr i8, ptr %state, i64 «cluster.shift»
  %p.size = getelementptr i8, ptr %state, i64 «cluster.size»
  %p.limits = getelementptr i8, ptr %state, i64 «cluster.limits»
  %arena = load i64, ptr %p.arena
  %shift = load i64, ptr %p.shift
  %size = load i64, ptr %p.size
  %room = shl i64 1, %shift
  %within = sub i64 %room, 1
  br label %lane

lane:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %found = phi i32 [ 0, %entry ], [ %found.next, %next ]
  %p = getelementptr i64, ptr %addresses, i64 %i
  %a = load i64, ptr %p
  %from = sub i64 %a, %arena
  %rank = lshr i64 %from, %shift
  %there = icmp ult i64 %rank, %size
  br i1 %there, label %look, label %next

look:
  %block = add i64 %rank, 1
  %offset = and i64 %from, %within
  %p.limit = getelementptr i64, ptr %p.limits, i64 %block
  %limit = load i64, ptr %p.limit
  %end.at = add i64 %offset, %n
  %good = icmp ule i64 %end.at, %limit
  %above = shl i64 %block, 24
  %name = or i64 %above, %offset
  %nowhere = or i64 %name, 72057594037927936      ; NOWHERE
  %result = select i1 %good, i64 %a, i64 %nowhere
  store i64 %result, ptr %p
  %i32 = trunc i64 %i to i32
  %bit = shl i32 1, %i32
  %found.more = or i32 %found, %bit
  br label %next

next:
  %found.next = phi i32 [ %found, %lane ], [ %found.more, %look ]
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, 32
  br i1 %more, label %lane, label %end

end:
  ret i32 %found.next
}

; Where the running warp's words are: the parity of the phase in which each lane arrived last, then the lanes gone.
define internal ptr @tk_cluster_words(ptr %ctx, i64 %row) {
  %p.lanes = getelementptr i8, ptr %ctx, i64 «cluster_lanes»
  %lanes = load ptr, ptr %p.lanes
  %p.n = getelementptr i8, ptr %ctx, i64 «n_warps»
  %n = load i64, ptr %p.n
  %p.warp = getelementptr i8, ptr %ctx, i64 «warp»
  %warp = load i64, ptr %p.warp
  %before = mul i64 %row, %n
  %at = add i64 %before, %warp
  %p = getelementptr i32, ptr %lanes, i64 %at
  ret ptr %p
}

; Counts threads in, and begins the next phase with the last one. Those that are gone have arrived in it already.
define internal void @tk_cluster_count(ptr %ctx, ptr %state, i32 %lanes) {
entry:
  %n32 = call i32 @llvm.ctpop.i32(i32 %lanes)
  %n = zext i32 %n32 to i64
  %p.counted = getelementptr i8, ptr %state, i64 «cluster.n_counted»
  %p.gone = getelementptr i8, ptr %state, i64 «cluster.n_gone»
  %p.all = getelementptr i8, ptr %state, i64 «cluster.n_threads»
  %counted = load i64, ptr %p.counted
  %all = load i64, ptr %p.all
  %counted.now = add i64 %counted, %n
  store i64 %counted.now, ptr %p.counted
  %p.arrivals = getelementptr i8, ptr %ctx, i64 «arrivals»
  %arrivals = load i64, ptr %p.arrivals
  %arrivals.now = add i64 %arrivals, 1
  store i64 %arrivals.now, ptr %p.arrivals
  %over = icmp sge i64 %counted.now, %all
  br i1 %over, label %turn, label %end

turn:
  %gone = load i64, ptr %p.gone
  store i64 %gone, ptr %p.counted
  %phase = load i32, ptr %state
  %turned = xor i32 %phase, -1
  store i32 %turned, ptr %state
  br label %end

end:
  ret void
}

define void @tk_cluster_arrive(ptr %ctx, i32 %lanes) {
  %p.state = getelementptr i8, ptr %ctx, i64 «cluster»
  %state = load ptr, ptr %p.state
  %p.word = call ptr @tk_cluster_words(ptr %ctx, i64 0)
  %word = load i32, ptr %p.word
  %phase = load i32, ptr %state
  %differs = xor i32 %word, %phase
  %fresh = and i32 %lanes, %differs               ; a thread that arrives twice in a phase counts once
  %word.now = xor i32 %word, %fresh
  store i32 %word.now, ptr %p.word
  call void @tk_cluster_count(ptr %ctx, ptr %state, i32 %fresh)
  ret void
}

; Threads end: the barrier does not wait for them any more.
define void @tk_cluster_leave(ptr %ctx, i32 %leaving) {
  %p.state = getelementptr i8, ptr %ctx, i64 «cluster»
  %state = load ptr, ptr %p.state
  %p.n = getelementptr i8, ptr %ctx, i64 «n_warps»
  %n = load i64, ptr %p.n
  %p.warp = getelementptr i8, ptr %ctx, i64 «warp»
  %warp = load i64, ptr %p.warp
  %warp.next = add i64 %warp, 1
  %is.last = icmp eq i64 %warp.next, %n
  %p.full = getelementptr i8, ptr %ctx, i64 «last_warp_mask»
  %full64 = load i64, ptr %p.full
  %full32 = trunc i64 %full64 to i32
  %full = select i1 %is.last, i32 %full32, i32 -1
  %p.word = call ptr @tk_cluster_words(ptr %ctx, i64 0)
  %p.left = call ptr @tk_cluster_words(ptr %ctx, i64 1)
  %left = load i32, ptr %p.left
  %here = xor i32 %left, -1
  %leaving.here = and i32 %leaving, %here
  %lanes = and i32 %leaving.here, %full
  %left.now = or i32 %left, %lanes
  store i32 %left.now, ptr %p.left
  %n.lanes32 = call i32 @llvm.ctpop.i32(i32 %lanes)
  %n.lanes = zext i32 %n.lanes32 to i64
  %p.gone = getelementptr i8, ptr %state, i64 «cluster.n_gone»
  %gone = load i64, ptr %p.gone
  %gone.now = add i64 %gone, %n.lanes
  store i64 %gone.now, ptr %p.gone
  %word = load i32, ptr %p.word
  %phase = load i32, ptr %state
  %differs = xor i32 %word, %phase
  %fresh = and i32 %lanes, %differs
  call void @tk_cluster_count(ptr %ctx, ptr %state, i32 %fresh)
  ret void
}

; The lanes whose phase is over.
define i32 @tk_cluster_over(ptr %ctx) {
  %p.state = getelementptr i8, ptr %ctx, i64 «cluster»
  %state = load ptr, ptr %p.state
  %p.word = call ptr @tk_cluster_words(ptr %ctx, i64 0)
  %word = load i32, ptr %p.word
  %phase = load i32, ptr %state
  %differs = xor i32 %word, %phase
  ret i32 %differs
}
