; The part of the engine that is the same for every kernel: the block scheduler, and the general path of
; memory accesses (any addresses, any lanes), which checks bounds, counts, and moves data lane by lane.
; Kernels inline only the common case, 32 contiguous lanes in bounds, and call here for the rest.
; A name in guillemets stands for the byte offset of that Context field, so that context.py stays the only layout.

declare ptr @realloc(ptr, i64)
declare <32 x i32> @llvm.masked.gather.v32i32.v32p0(<32 x ptr>, <32 x i1>, <32 x i32>)
declare <32 x i64> @llvm.masked.gather.v32i64.v32p0(<32 x ptr>, <32 x i1>, <32 x i64>)
declare void @llvm.masked.scatter.v32i32.v32p0(<32 x i32>, <32 x ptr>, <32 x i1>)
declare void @llvm.masked.scatter.v32i64.v32p0(<32 x i64>, <32 x ptr>, <32 x i1>)
declare void @llvm.masked.compressstore.v32i64(<32 x i64>, ptr, <32 x i1>)
declare i64 @llvm.vector.reduce.or.v32i64(<32 x i64>)
declare i64 @llvm.vector.reduce.add.v32i64(<32 x i64>)
declare i32 @llvm.cttz.i32(i32, i1)
declare i32 @llvm.ctlz.i32(i32, i1)
declare i32 @llvm.ctpop.i32(i32)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; ---------------------------------------------------------------------------------------------- scheduler

; Takes blocks from the shared counter until `end`, a stop, or a full trace: returns 0. A block's warps take
; turns: each runs until it exits, waits at a barrier, or has used its loop turns. After a number of rounds
; with warps out of turns it returns 1 with the block unfinished, so that the caller can look at the clock and
; at Ctrl-C; the next call goes on where this one left.
define i64 @tk_run(ptr %ctx, ptr %warp_function, ptr %next, i64 %end) {
entry:
  %p.stop = getelementptr i8, ptr %ctx, i64 «stop»
  %p.cursor = getelementptr i8, ptr %ctx, i64 «trace_cursor»
  %p.begin = getelementptr i8, ptr %ctx, i64 «trace_begin»
  %p.limit = getelementptr i8, ptr %ctx, i64 «trace_limit»
  %p.nwarps = getelementptr i8, ptr %ctx, i64 «n_warps»
  %p.frames = getelementptr i8, ptr %ctx, i64 «frames»
  %p.framebytes = getelementptr i8, ptr %ctx, i64 «frame_bytes»
  %p.block = getelementptr i8, ptr %ctx, i64 «block»
  %p.warp = getelementptr i8, ptr %ctx, i64 «warp»
  %p.ctaid.x = getelementptr i8, ptr %ctx, i64 «ctaid»
  %p.ctaid.y = getelementptr i8, ptr %p.ctaid.x, i64 4
  %p.ctaid.z = getelementptr i8, ptr %p.ctaid.x, i64 8
  %p.nctaid.x = getelementptr i8, ptr %ctx, i64 «nctaid»
  %p.nctaid.y = getelementptr i8, ptr %p.nctaid.x, i64 4
  %p.shared = getelementptr i8, ptr %ctx, i64 «shared»
  %p.sharedbytes = getelementptr i8, ptr %ctx, i64 «shared_bytes»
  %p.sites = getelementptr i8, ptr %ctx, i64 «sites»
  %stop.flag = load ptr, ptr %p.stop
  %n_warps = load i64, ptr %p.nwarps
  %frames = load ptr, ptr %p.frames
  %frame_bytes = load i64, ptr %p.framebytes
  %shared = load ptr, ptr %p.shared
  %shared_bytes = load i64, ptr %p.sharedbytes
  %sites = load ptr, ptr %p.sites
  %counting = icmp ne ptr %sites, null
  %nctaid.x32 = load i32, ptr %p.nctaid.x
  %nctaid.y32 = load i32, ptr %p.nctaid.y
  %nctaid.x = zext i32 %nctaid.x32 to i64
  %nctaid.y = zext i32 %nctaid.y32 to i64
  %p.unfinished = getelementptr i8, ptr %ctx, i64 «unfinished»
  %unfinished = load i64, ptr %p.unfinished
  store i64 0, ptr %p.unfinished
  %going.on = icmp ne i64 %unfinished, 0
  br i1 %going.on, label %round.first, label %take

take:
  %stop = load atomic i64, ptr %stop.flag monotonic, align 8
  %stopped = icmp ne i64 %stop, 0
  br i1 %stopped, label %done, label %room

room:
  %cursor0 = load ptr, ptr %p.cursor
  %begin0 = load ptr, ptr %p.begin
  %cursor.i = ptrtoint ptr %cursor0 to i64
  %begin.i = ptrtoint ptr %begin0 to i64
  %used = sub i64 %cursor.i, %begin.i
  %limit = load i64, ptr %p.limit
  %full = icmp ugt i64 %used, %limit
  br i1 %full, label %done, label %claim

claim:
  %block = atomicrmw add ptr %next, i64 1 seq_cst
  %over = icmp sge i64 %block, %end
  br i1 %over, label %done, label %start

start:
  store i64 %block, ptr %p.block
  %x = urem i64 %block, %nctaid.x
  %yz = udiv i64 %block, %nctaid.x
  %y = urem i64 %yz, %nctaid.y
  %z = udiv i64 %yz, %nctaid.y
  %x32 = trunc i64 %x to i32
  %y32 = trunc i64 %y to i32
  %z32 = trunc i64 %z to i32
  store i32 %x32, ptr %p.ctaid.x
  store i32 %y32, ptr %p.ctaid.y
  store i32 %z32, ptr %p.ctaid.z
  call void @llvm.memset.p0.i64(ptr %shared, i8 -1, i64 %shared_bytes, i1 false)
  %p.arrived = getelementptr i8, ptr %ctx, i64 «arrived»
  call void @llvm.memset.p0.i64(ptr %p.arrived, i8 0, i64 192, i1 false) ; arrived, votes, voters
  br i1 %counting, label %mark, label %reset

mark:
  call void @tk_trace_reserve(ptr %ctx)
  %cursor1 = load ptr, ptr %p.cursor
  %record = or i64 %block, -9223372036854775808
  store i64 %record, ptr %cursor1
  %cursor2 = getelementptr i8, ptr %cursor1, i64 8
  store ptr %cursor2, ptr %p.cursor
  br label %reset

reset:
  %r = phi i64 [ 0, %start ], [ 0, %mark ], [ %r.next, %reset ]
  %r.at = mul i64 %r, %frame_bytes
  %r.frame = getelementptr i8, ptr %frames, i64 %r.at
  store i32 0, ptr %r.frame
  %r.status = getelementptr i8, ptr %r.frame, i64 4
  store i32 2, ptr %r.status
  %r.next = add i64 %r, 1
  %r.more = icmp slt i64 %r.next, %n_warps
  br i1 %r.more, label %reset, label %round.first

round.first:
  br label %round

round:                                            ; every warp that is ready runs once
  %tired = phi i64 [ 0, %round.first ], [ %tired.next, %release.try ], [ %tired.next, %release ]
  br label %warp.loop

warp.loop:
  %w = phi i64 [ 0, %round ], [ %w.next, %warp.next ]
  %waiting = phi i64 [ 0, %round ], [ %waiting.next, %warp.next ]
  %yielded = phi i64 [ 0, %round ], [ %yielded.next, %warp.next ]
  %w.at = mul i64 %w, %frame_bytes
  %frame = getelementptr i8, ptr %frames, i64 %w.at
  %p.status = getelementptr i8, ptr %frame, i64 4
  %status = load i32, ptr %p.status
  %ready = icmp eq i32 %status, 2
  br i1 %ready, label %warp.run, label %warp.next

warp.run:
  store i64 %w, ptr %p.warp
  br i1 %counting, label %warp.reserve, label %warp.call

warp.reserve:
  call void @tk_trace_reserve(ptr %ctx)
  br label %warp.call

warp.call:
  %returned = call i32 %warp_function(ptr %ctx, ptr %frame)
  store i32 %returned, ptr %p.status
  br label %warp.next

warp.next:
  %now = phi i32 [ %status, %warp.loop ], [ %returned, %warp.call ]
  %is.waiting = icmp eq i32 %now, 1
  %is.yielded = icmp eq i32 %now, 2
  %one.waiting = zext i1 %is.waiting to i64
  %one.yielded = zext i1 %is.yielded to i64
  %waiting.next = add i64 %waiting, %one.waiting
  %yielded.next = add i64 %yielded, %one.yielded
  %w.next = add i64 %w, 1
  %w.more = icmp slt i64 %w.next, %n_warps
  br i1 %w.more, label %warp.loop, label %round.end

round.end:
  %none.waiting = icmp eq i64 %waiting.next, 0
  %none.yielded = icmp eq i64 %yielded.next, 0
  %any.yielded = xor i1 %none.yielded, true
  %finished = and i1 %none.waiting, %none.yielded
  br i1 %finished, label %take, label %pending

pending:
  %stop2 = load atomic i64, ptr %stop.flag monotonic, align 8
  %interrupted = icmp eq i64 %stop2, 2            ; 2: stop now; 1: finish running blocks, start no other
  br i1 %interrupted, label %done, label %turns

turns:
  %tired.one = zext i1 %any.yielded to i64
  %tired.next = add i64 %tired, %tired.one
  %pause = icmp ugt i64 %tired.next, 64
  br i1 %pause, label %unfinish, label %release.try

unfinish:
  store i64 1, ptr %p.unfinished
  ret i64 1

release.try:
  br i1 %none.waiting, label %round, label %release

release:
  %alive = add i64 %waiting.next, %yielded.next
  %released = call i64 @tk_release(ptr %ctx, ptr %frames, i64 %frame_bytes, i64 %n_warps, i64 %alive)
  %stuck0 = icmp eq i64 %released, 0
  %stuck = and i1 %stuck0, %none.yielded
  br i1 %stuck, label %deadlock, label %round

deadlock:
  call void @tk_fault(ptr %ctx, i64 3, i64 0, i32 -1, i64 0, i64 0)
  br label %take

done:
  ret i64 0
}

; Lets go of every barrier that has all the warps it waits for; returns how many warps were released.
define internal i64 @tk_release(ptr %ctx, ptr %frames, i64 %frame_bytes, i64 %n_warps, i64 %alive) {
entry:
  br label %outer

outer:
  %i = phi i64 [ 0, %entry ], [ %i.next, %outer.next ]
  %released = phi i64 [ 0, %entry ], [ %released.next, %outer.next ]
  %i.at = mul i64 %i, %frame_bytes
  %i.frame = getelementptr i8, ptr %frames, i64 %i.at
  %i.p.status = getelementptr i8, ptr %i.frame, i64 4
  %i.status = load i32, ptr %i.p.status
  %i.waits = icmp eq i32 %i.status, 1
  br i1 %i.waits, label %count.start, label %outer.next

count.start:
  %i.p.id = getelementptr i8, ptr %i.frame, i64 8
  %id = load i32, ptr %i.p.id
  %i.p.expected = getelementptr i8, ptr %i.frame, i64 12
  %threads = load i32, ptr %i.p.expected
  %warps32 = lshr i32 %threads, 5
  %warps = zext i32 %warps32 to i64
  %whole = icmp eq i64 %warps, 0
  %expected = select i1 %whole, i64 %alive, i64 %warps
  br label %count

count:
  %j = phi i64 [ 0, %count.start ], [ %j.next, %count ]
  %n = phi i64 [ 0, %count.start ], [ %n.next, %count ]
  %j.at = mul i64 %j, %frame_bytes
  %j.frame = getelementptr i8, ptr %frames, i64 %j.at
  %j.p.status = getelementptr i8, ptr %j.frame, i64 4
  %j.status = load i32, ptr %j.p.status
  %j.waits = icmp eq i32 %j.status, 1
  %j.p.id = getelementptr i8, ptr %j.frame, i64 8
  %j.id = load i32, ptr %j.p.id
  %j.same = icmp eq i32 %j.id, %id
  %j.counts = and i1 %j.waits, %j.same
  %j.one = zext i1 %j.counts to i64
  %n.next = add i64 %n, %j.one
  %j.next = add i64 %j, 1
  %j.more = icmp slt i64 %j.next, %n_warps
  br i1 %j.more, label %count, label %decide

decide:
  %id64 = zext i32 %id to i64
  %p.arrived0 = getelementptr i8, ptr %ctx, i64 «arrived»
  %p.arrived = getelementptr i32, ptr %p.arrived0, i64 %id64
  %arrived.threads = load i32, ptr %p.arrived
  %arrived.warps32 = lshr i32 %arrived.threads, 5
  %arrived.warps = zext i32 %arrived.warps32 to i64
  %here.warps = add i64 %n.next, %arrived.warps
  %enough = icmp sge i64 %here.warps, %expected
  br i1 %enough, label %let.go, label %outer.next

let.go:
  %k = phi i64 [ 0, %decide ], [ %k.next, %let.go.next ]
  %k.at = mul i64 %k, %frame_bytes
  %k.frame = getelementptr i8, ptr %frames, i64 %k.at
  %k.p.status = getelementptr i8, ptr %k.frame, i64 4
  %k.status = load i32, ptr %k.p.status
  %k.waits = icmp eq i32 %k.status, 1
  %k.p.id = getelementptr i8, ptr %k.frame, i64 8
  %k.id = load i32, ptr %k.p.id
  %k.same = icmp eq i32 %k.id, %id
  %k.go = and i1 %k.waits, %k.same
  br i1 %k.go, label %let.go.one, label %let.go.next

let.go.one:
  store i32 2, ptr %k.p.status
  br label %let.go.next

let.go.next:
  %k.next = add i64 %k, 1
  %k.more = icmp slt i64 %k.next, %n_warps
  br i1 %k.more, label %let.go, label %let.go.end

let.go.end:
  store i32 0, ptr %p.arrived
  %p.votes = getelementptr i8, ptr %p.arrived, i64 64
  %p.voters = getelementptr i8, ptr %p.arrived, i64 128
  %p.vote.result = getelementptr i8, ptr %p.arrived, i64 192
  %p.voter.result = getelementptr i8, ptr %p.arrived, i64 256
  %votes = load i32, ptr %p.votes
  %voters = load i32, ptr %p.voters
  store i32 %votes, ptr %p.vote.result
  store i32 %voters, ptr %p.voter.result
  store i32 0, ptr %p.votes
  store i32 0, ptr %p.voters
  %released.more = add i64 %released, %n.next
  br label %outer.next

outer.next:
  %released.next = phi i64 [ %released, %outer ], [ %released, %decide ], [ %released.more, %let.go.end ]
  %i.next = add i64 %i, 1
  %i.more = icmp slt i64 %i.next, %n_warps
  br i1 %i.more, label %outer, label %end

end:
  ret i64 %released.next
}

; Keeps the worker's first fault, and asks all workers to start no further block.
define void @tk_fault(ptr %ctx, i64 %kind, i64 %site, i32 %lanes, i64 %address, i64 %n_bytes) {
entry:
  %p.kind = getelementptr i8, ptr %ctx, i64 «fault.fault»
  %old = load i64, ptr %p.kind
  %first = icmp eq i64 %old, 0
  br i1 %first, label %keep, label %end

keep:
  store i64 %kind, ptr %p.kind
  %p.block = getelementptr i8, ptr %ctx, i64 «block»
  %block = load i64, ptr %p.block
  %p.f.block = getelementptr i8, ptr %ctx, i64 «fault.block»
  store i64 %block, ptr %p.f.block
  %p.warp = getelementptr i8, ptr %ctx, i64 «warp»
  %warp = load i64, ptr %p.warp
  %p.f.warp = getelementptr i8, ptr %ctx, i64 «fault.warp»
  store i64 %warp, ptr %p.f.warp
  %p.f.site = getelementptr i8, ptr %ctx, i64 «fault.site»
  store i64 %site, ptr %p.f.site
  %lanes64 = zext i32 %lanes to i64
  %p.f.lanes = getelementptr i8, ptr %ctx, i64 «fault.lanes»
  store i64 %lanes64, ptr %p.f.lanes
  %p.f.address = getelementptr i8, ptr %ctx, i64 «fault.address»
  store i64 %address, ptr %p.f.address
  %p.f.bytes = getelementptr i8, ptr %ctx, i64 «fault.n_bytes»
  store i64 %n_bytes, ptr %p.f.bytes
  %p.stop = getelementptr i8, ptr %ctx, i64 «stop»
  %stop = load ptr, ptr %p.stop
  %was = atomicrmw max ptr %stop, i64 1 monotonic
  br label %end

end:
  ret void
}

; -------------------------------------------------------------------------------------------------- trace

; Makes sure that the next trace_reserve bytes fit, so that appending needs no check of its own.
define void @tk_trace_reserve(ptr %ctx) {
entry:
  %p.cursor = getelementptr i8, ptr %ctx, i64 «trace_cursor»
  %p.end = getelementptr i8, ptr %ctx, i64 «trace_end»
  %p.reserve = getelementptr i8, ptr %ctx, i64 «trace_reserve»
  %cursor = load i64, ptr %p.cursor
  %end = load i64, ptr %p.end
  %reserve = load i64, ptr %p.reserve
  %wanted = add i64 %cursor, %reserve
  %fits = icmp ule i64 %wanted, %end
  br i1 %fits, label %done, label %grow

grow:
  %p.begin = getelementptr i8, ptr %ctx, i64 «trace_begin»
  %begin = load ptr, ptr %p.begin
  %begin.i = ptrtoint ptr %begin to i64
  %used = sub i64 %cursor, %begin.i
  %needed = add i64 %used, %reserve
  %bytes = mul i64 %needed, 2
  %new = call ptr @realloc(ptr %begin, i64 %bytes)
  %new.i = ptrtoint ptr %new to i64
  %new.cursor = add i64 %new.i, %used
  %new.end = add i64 %new.i, %bytes
  store ptr %new, ptr %p.begin
  store i64 %new.cursor, ptr %p.cursor
  store i64 %new.end, ptr %p.end
  br label %done

done:
  ret void
}

; --------------------------------------------------------------------------------- general memory accesses

; The lanes of `active` whose access of `size` bytes lies in [low, high) and is aligned; the others are
; reported. low = high = 0 means that the tensor is not known: any interval of the launch will do.
define internal i32 @tk_in_bounds(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size) {
entry:
  %address = load <32 x i64>, ptr %addresses, align 8
  %unknown = icmp eq i64 %high, 0
  br i1 %unknown, label %search, label %known

known:
  %room = sub i64 %high, %size
  %low.1 = insertelement <32 x i64> poison, i64 %low, i64 0
  %low.n = shufflevector <32 x i64> %low.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %room.1 = insertelement <32 x i64> poison, i64 %room, i64 0
  %room.n = shufflevector <32 x i64> %room.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %above = icmp uge <32 x i64> %address, %low.n
  %below = icmp ule <32 x i64> %address, %room.n
  %inside.known = and <32 x i1> %above, %below
  %inside.known.bits = bitcast <32 x i1> %inside.known to i32
  %big.enough = icmp uge i64 %high, %size
  %big.bits = sext i1 %big.enough to i32
  %known.bits = and i32 %inside.known.bits, %big.bits
  br label %align

search:
  %p.n = getelementptr i8, ptr %ctx, i64 «n_bounds»
  %n = load i64, ptr %p.n
  %p.bounds = getelementptr i8, ptr %ctx, i64 «bounds»
  %bounds = load ptr, ptr %p.bounds
  %any = icmp sgt i64 %n, 0
  br i1 %any, label %search.loop, label %align

search.loop:
  %i = phi i64 [ 0, %search ], [ %i.next, %search.loop ]
  %found = phi i32 [ 0, %search ], [ %found.next, %search.loop ]
  %i.at = mul i64 %i, 16
  %i.p.low = getelementptr i8, ptr %bounds, i64 %i.at
  %i.p.high = getelementptr i8, ptr %i.p.low, i64 8
  %i.low = load i64, ptr %i.p.low
  %i.high = load i64, ptr %i.p.high
  %i.fits0 = sub i64 %i.high, %i.low
  %i.fits = icmp uge i64 %i.fits0, %size
  %i.room = sub i64 %i.high, %size
  %i.low.1 = insertelement <32 x i64> poison, i64 %i.low, i64 0
  %i.low.n = shufflevector <32 x i64> %i.low.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %i.room.1 = insertelement <32 x i64> poison, i64 %i.room, i64 0
  %i.room.n = shufflevector <32 x i64> %i.room.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %i.above = icmp uge <32 x i64> %address, %i.low.n
  %i.below = icmp ule <32 x i64> %address, %i.room.n
  %i.inside = and <32 x i1> %i.above, %i.below
  %i.bits0 = bitcast <32 x i1> %i.inside to i32
  %i.fits.bits = sext i1 %i.fits to i32
  %i.bits = and i32 %i.bits0, %i.fits.bits
  %found.next = or i32 %found, %i.bits
  %i.next = add i64 %i, 1
  %i.more = icmp slt i64 %i.next, %n
  br i1 %i.more, label %search.loop, label %align

align:
  %inside = phi i32 [ %known.bits, %known ], [ 0, %search ], [ %found.next, %search.loop ]
  %low.bits = sub i64 %size, 1
  %mask.1 = insertelement <32 x i64> poison, i64 %low.bits, i64 0
  %mask.n = shufflevector <32 x i64> %mask.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %rest = and <32 x i64> %address, %mask.n
  %aligned = icmp eq <32 x i64> %rest, zeroinitializer
  %aligned.bits = bitcast <32 x i1> %aligned to i32
  %good = and i32 %inside, %aligned.bits
  %live = and i32 %active, %good
  %all = icmp eq i32 %live, %active
  br i1 %all, label %done, label %report

report:
  %not.inside = xor i32 %inside, -1
  %outside = and i32 %active, %not.inside
  %is.outside = icmp ne i32 %outside, 0
  %kind = select i1 %is.outside, i64 1, i64 2
  %not.live = xor i32 %live, -1
  %misaligned = and i32 %active, %not.live
  %bad = select i1 %is.outside, i32 %outside, i32 %misaligned
  %lane = call i32 @llvm.cttz.i32(i32 %bad, i1 false)
  %lane64 = zext i32 %lane to i64
  %p.address = getelementptr i64, ptr %addresses, i64 %lane64
  %bad.address = load i64, ptr %p.address
  call void @tk_fault(ptr %ctx, i64 %kind, i64 %site, i32 %bad, i64 %bad.address, i64 %size)
  br label %done

done:
  ret i32 %live
}

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

; Counts one global request: its distinct 32-byte sectors, each also appended to the trace. An access never
; crosses a sector, because it is aligned to its size of at most 32 bytes.
define internal void @tk_count_global(ptr %ctx, ptr %addresses, i32 %live, i64 %site, i64 %store) {
entry:
  %seen = alloca [32 x i64], align 64
  %address = load <32 x i64>, ptr %addresses, align 8
  %sector = lshr <32 x i64> %address, splat (i64 5)
  %sectors = alloca [32 x i64], align 64
  store <32 x i64> %sector, ptr %sectors, align 64
  %p.cursor = getelementptr i8, ptr %ctx, i64 «trace_cursor»
  %cursor0 = load ptr, ptr %p.cursor
  %empty = icmp eq i32 %live, 0
  br i1 %empty, label %end, label %prepare

prepare:                                          ; do the sectors never go down from lane to lane?
  %before = shufflevector <32 x i64> %sector, <32 x i64> poison, <32 x i32> <i32 0, i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30>
  %up = icmp uge <32 x i64> %sector, %before
  %up.bits = bitcast <32 x i1> %up to i32
  ; ... and are the lanes that are on one run? Then a sector starts where it differs from the lane before.
  %low.lane = call i32 @llvm.cttz.i32(i32 %live, i1 true)
  %run = lshr i32 %live, %low.lane
  %run.more = add i32 %run, 1
  %run.gap = and i32 %run, %run.more
  %one.run = icmp eq i32 %run.gap, 0
  %not.live = xor i32 %live, -1
  %up.live = or i32 %up.bits, %not.live
  %first.bit = shl i32 1, %low.lane
  %up.all = or i32 %up.live, %first.bit
  %rising = icmp eq i32 %up.all, -1
  %ordered = and i1 %rising, %one.run
  br i1 %ordered, label %all.at.once, label %lane.start

all.at.once:
  %new.sector = icmp ne <32 x i64> %sector, %before
  %new.bits0 = bitcast <32 x i1> %new.sector to i32
  %new.bits1 = or i32 %new.bits0, %first.bit
  %new.bits = and i32 %new.bits1, %live
  %new.mask = bitcast i32 %new.bits to <32 x i1>
  %store.1 = insertelement <32 x i64> poison, i64 %store, i64 0
  %store.n = shufflevector <32 x i64> %store.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %records0 = shl <32 x i64> %sector, splat (i64 8)
  %records = or <32 x i64> %records0, %store.n
  %n.new32 = call i32 @llvm.ctpop.i32(i32 %new.bits)
  %n.new = zext i32 %n.new32 to i64
  ; Sectors side by side are one record.
  %high.lane0 = call i32 @llvm.ctlz.i32(i32 %live, i1 true)
  %high.lane = xor i32 %high.lane0, 31
  %p.low = getelementptr i64, ptr %sectors, i32 %low.lane
  %p.high = getelementptr i64, ptr %sectors, i32 %high.lane
  %low.sector = load i64, ptr %p.low
  %high.sector = load i64, ptr %p.high
  %more.sectors = sub i64 %high.sector, %low.sector
  %spanned = add i64 %more.sectors, 1
  %gapless = icmp eq i64 %spanned, %n.new
  br i1 %gapless, label %one.record, label %many.records

one.record:
  %whole0 = shl i64 %low.sector, 8
  %whole1 = shl i64 %more.sectors, 1
  %whole2 = or i64 %whole0, %whole1
  %whole = or i64 %whole2, %store
  store i64 %whole, ptr %cursor0
  br label %recorded

many.records:
  call void @llvm.masked.compressstore.v32i64(<32 x i64> %records, ptr align 8 %cursor0, <32 x i1> %new.mask)
  br label %recorded

recorded:
  %n.records = phi i64 [ 1, %one.record ], [ %n.new, %many.records ]
  %cursor.new = getelementptr i64, ptr %cursor0, i64 %n.records
  store ptr %cursor.new, ptr %p.cursor
  call void @tk_add(ptr %ctx, i64 %site, i32 %live, i64 %n.new, i64 0)
  ret void

lane.start:
  br label %lane.loop

lane.loop:
  %left = phi i32 [ %live, %lane.start ], [ %left.next, %lane.next ]
  %n = phi i64 [ 0, %lane.start ], [ %n.next, %lane.next ]
  %last = phi i64 [ -1, %lane.start ], [ %last.next, %lane.next ]
  %cursor = phi ptr [ %cursor0, %lane.start ], [ %cursor.next, %lane.next ]
  %lane = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %lane64 = zext i32 %lane to i64
  %p.sector = getelementptr i64, ptr %sectors, i64 %lane64
  %s = load i64, ptr %p.sector
  %repeat = icmp eq i64 %s, %last
  br i1 %repeat, label %lane.next, label %scan.start

scan.start:
  %none = icmp eq i64 %n, 0
  br i1 %none, label %append, label %scan

scan:
  %i = phi i64 [ 0, %scan.start ], [ %i.next, %scan.next ]
  %p.seen = getelementptr i64, ptr %seen, i64 %i
  %t = load i64, ptr %p.seen
  %same = icmp eq i64 %t, %s
  br i1 %same, label %lane.next, label %scan.next

scan.next:
  %i.next = add i64 %i, 1
  %i.more = icmp slt i64 %i.next, %n
  br i1 %i.more, label %scan, label %append

append:
  %p.new = getelementptr i64, ptr %seen, i64 %n
  store i64 %s, ptr %p.new
  %record0 = shl i64 %s, 8
  %record = or i64 %record0, %store
  store i64 %record, ptr %cursor
  %cursor.more = getelementptr i8, ptr %cursor, i64 8
  %n.more = add i64 %n, 1
  br label %lane.next

lane.next:
  %n.next = phi i64 [ %n, %lane.loop ], [ %n, %scan ], [ %n.more, %append ]
  %cursor.next = phi ptr [ %cursor, %lane.loop ], [ %cursor, %scan ], [ %cursor.more, %append ]
  %last.next = phi i64 [ %s, %lane.loop ], [ %s, %scan ], [ %s, %append ]
  %minus = sub i32 %left, 1
  %left.next = and i32 %left, %minus
  %more = icmp ne i32 %left.next, 0
  br i1 %more, label %lane.loop, label %finish

finish:
  store ptr %cursor.next, ptr %p.cursor
  call void @tk_add(ptr %ctx, i64 %site, i32 %live, i64 %n.next, i64 0)
  br label %end

end:
  ret void
}

; Counts one shared request. Lanes are served in phases of 32, 16 (8-byte) or 8 (16-byte); a phase takes as
; many wavefronts as the most distinct words that any one bank must deliver.
define internal void @tk_count_shared(ptr %ctx, ptr %addresses, i32 %live, i64 %site, i64 %size) {
entry:
  %conflicts = alloca [32 x i8], align 64
  %units = alloca [32 x i64], align 64
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
  ; Give each (phase, bank group) a bit. The lanes' bits add up to what they or to only if all differ: then
  ; no two lanes of a phase want the same banks, and each phase with a lane takes one wavefront.
  %group.mask.1 = insertelement <32 x i64> poison, i64 %group.mask, i64 0
  %group.mask.n = shufflevector <32 x i64> %group.mask.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %group.n = and <32 x i64> %unit, %group.mask.n
  %phase.part = xor <32 x i64> %group.mask.n, splat (i64 -1)
  %lane.n = and <32 x i64> %phase.part, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15, i64 16, i64 17, i64 18, i64 19, i64 20, i64 21, i64 22, i64 23, i64 24, i64 25, i64 26, i64 27, i64 28, i64 29, i64 30, i64 31>
  %place.n = or <32 x i64> %lane.n, %group.n
  %bit.n = shl <32 x i64> splat (i64 1), %place.n
  %live.n = bitcast i32 %live to <32 x i1>
  %bits.n = select <32 x i1> %live.n, <32 x i64> %bit.n, <32 x i64> zeroinitializer
  %bits.or = call i64 @llvm.vector.reduce.or.v32i64(<32 x i64> %bits.n)
  %bits.sum = call i64 @llvm.vector.reduce.add.v32i64(<32 x i64> %bits.n)
  %all.differ = icmp eq i64 %bits.or, %bits.sum
  br i1 %all.differ, label %free.loop, label %phase

free.loop:
  %free.start = phi i32 [ 0, %entry ], [ %free.next, %free.loop ]
  %free.total = phi i64 [ 0, %entry ], [ %free.more, %free.loop ]
  %free.mask = shl i32 %phase.mask0, %free.start
  %free.here = and i32 %live, %free.mask
  %free.any = icmp ne i32 %free.here, 0
  %free.one = zext i1 %free.any to i64
  %free.more = add i64 %free.total, %free.one
  %free.next = add i32 %free.start, %lanes.a.phase
  %free.on = icmp ult i32 %free.next, 32
  br i1 %free.on, label %free.loop, label %free.done

free.done:
  %free.live = icmp ne i32 %live, 0
  br i1 %free.live, label %free.write, label %end

free.write:
  call void @tk_add(ptr %ctx, i64 %site, i32 %live, i64 %free.more, i64 0)
  ret void

phase:
  %start = phi i32 [ 0, %entry ], [ %start.next, %phase.end ]
  %total = phi i64 [ 0, %entry ], [ %total.next, %phase.end ]
  %ideal = phi i64 [ 0, %entry ], [ %ideal.next, %phase.end ]
  %phase.mask = shl i32 %phase.mask0, %start
  %here = and i32 %live, %phase.mask
  %idle = icmp eq i32 %here, 0
  br i1 %idle, label %phase.end, label %phase.start

phase.start:
  call void @llvm.memset.p0.i64(ptr %conflicts, i8 0, i64 32, i1 false)
  br label %lane.loop

lane.loop:
  %left = phi i32 [ %here, %phase.start ], [ %left.next, %lane.next ]
  %most = phi i8 [ 0, %phase.start ], [ %most.next, %lane.next ]
  %lane = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %lane64 = zext i32 %lane to i64
  %p.unit = getelementptr i64, ptr %units, i64 %lane64
  %u = load i64, ptr %p.unit
  %u.1 = insertelement <32 x i64> poison, i64 %u, i64 0
  %u.n = shufflevector <32 x i64> %u.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %equal = icmp eq <32 x i64> %unit, %u.n
  %equal.bits = bitcast <32 x i1> %equal to i32
  %lane.bit = shl i32 1, %lane
  %earlier = sub i32 %lane.bit, 1
  %twins0 = and i32 %equal.bits, %earlier
  %twins = and i32 %twins0, %here
  %is.first = icmp eq i32 %twins, 0
  br i1 %is.first, label %conflict, label %lane.next

conflict:
  %group = and i64 %u, %group.mask
  %p.group = getelementptr i8, ptr %conflicts, i64 %group
  %old = load i8, ptr %p.group
  %new = add i8 %old, 1
  store i8 %new, ptr %p.group
  %worse = icmp ugt i8 %new, %most
  %most.more = select i1 %worse, i8 %new, i8 %most
  br label %lane.next

lane.next:
  %most.next = phi i8 [ %most, %lane.loop ], [ %most.more, %conflict ]
  %minus = sub i32 %left, 1
  %left.next = and i32 %left, %minus
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
  %any = icmp ne i32 %live, 0
  br i1 %any, label %write, label %end

write:
  %excess = sub i64 %total.next, %ideal.next
  call void @tk_add(ptr %ctx, i64 %site, i32 %live, i64 %total.next, i64 %excess)
  br label %end

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
