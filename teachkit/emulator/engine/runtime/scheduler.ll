; Runs the blocks of a launch: which warp goes next, what happens at a barrier, what is kept of a fault.
;
; The files of this folder are one module, the part of the engine that is the same for every kernel. A name in
; guillemets stands for the byte offset of that Context field, so that context.py stays the only layout.

declare ptr @realloc(ptr, i64)
declare <32 x i32> @llvm.masked.gather.v32i32.v32p0(<32 x ptr>, <32 x i1>, <32 x i32>)
declare <32 x i64> @llvm.masked.gather.v32i64.v32p0(<32 x ptr>, <32 x i1>, <32 x i64>)
declare void @llvm.masked.scatter.v32i32.v32p0(<32 x i32>, <32 x ptr>, <32 x i1>)
declare void @llvm.masked.scatter.v32i64.v32p0(<32 x i64>, <32 x ptr>, <32 x i1>)
declare <8 x i64> @llvm.experimental.vector.compress.v8i64(<8 x i64>, <8 x i1>, <8 x i64>)
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
declare i8 @llvm.ctpop.i8(i8)
declare i8 @llvm.umax.i8(i8, i8)
declare i8 @llvm.vector.reduce.umax.v8i8(<8 x i8>)
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.usub.sat.i64(i64, i64)
declare i64 @llvm.cttz.i64(i64, i1)
declare i64 @llvm.vector.reduce.or.v32i64(<32 x i64>)
declare i64 @llvm.vector.reduce.add.v32i64(<32 x i64>)
declare i32 @llvm.cttz.i32(i32, i1)
declare i32 @llvm.ctlz.i32(i32, i1)
declare i32 @llvm.ctpop.i32(i32)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; Takes blocks from a counter until `end`, a stop, or a full trace: returns 0. A block's warps take
; turns: each runs until it exits, waits at a barrier, or has used its loop turns. After `budget` blocks, or after
; a number of turns used up or of barriers passed, the block then unfinished, it returns 1, so that the caller can look
; at the clock and at Ctrl-C; the next call goes on where this one left. A warp that waits in a loop with a barrier in it
; never uses its turns up. 2520 is a multiple of 1 to 10: such a loop is left where it was left the last time.
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
  %p.reserved = getelementptr i8, ptr %ctx, i64 «reserved_bytes»
  %reserved_bytes = load i64, ptr %p.reserved
  %sites = load ptr, ptr %p.sites
  %counting = icmp ne ptr %sites, null
  %p.masks = getelementptr i8, ptr %ctx, i64 «n_masks»
  %n.masks = load i64, ptr %p.masks
  %parks = icmp ne i64 %n.masks, 0
  %nctaid.x32 = load i32, ptr %p.nctaid.x
  %nctaid.y32 = load i32, ptr %p.nctaid.y
  %nctaid.x = zext i32 %nctaid.x32 to i64
  %nctaid.y = zext i32 %nctaid.y32 to i64
  %p.unfinished = getelementptr i8, ptr %ctx, i64 «unfinished»
  %p.budget = getelementptr i8, ptr %ctx, i64 «budget»
  %p.fault = getelementptr i8, ptr %ctx, i64 «fault.fault»
  %p.yields = getelementptr i8, ptr %ctx, i64 «yields»
  %yields = load i64, ptr %p.yields
  %unfinished = load i64, ptr %p.unfinished
  store i64 0, ptr %p.unfinished
  %going.on = icmp ne i64 %unfinished, 0
  br i1 %going.on, label %round.first, label %take

take:
  %stop = load atomic i64, ptr %stop.flag acquire, align 8
  switch i64 %stop, label %done [
    i64 0, label %afford
    i64 1, label %after.fault
  ]

after.fault:                                      ; blocks before the first that failed: one of them may fail too
  %p.first = getelementptr i64, ptr %stop.flag, i64 1
  %first = load atomic i64, ptr %p.first monotonic, align 8
  %following = load atomic i64, ptr %next monotonic, align 8
  %comes.before = icmp slt i64 %following, %first
  br i1 %comes.before, label %afford, label %done

afford:
  %budget = load i64, ptr %p.budget
  %budget.left = sub i64 %budget, 1
  %spent = icmp slt i64 %budget.left, 0
  br i1 %spent, label %come.back, label %room

room:
  %cursor0 = load ptr, ptr %p.cursor
  %begin0 = load ptr, ptr %p.begin
  %cursor.i = ptrtoint ptr %cursor0 to i64
  %begin.i = ptrtoint ptr %begin0 to i64
  %used = sub i64 %cursor.i, %begin.i
  %limit = load i64, ptr %p.limit
  %full = icmp ugt i64 %used, %limit
  br i1 %full, label %done, label %claim

claim:                                            ; look before taking, so that the counter stays exact on one thread
  store i64 %budget.left, ptr %p.budget
  %peek = load atomic i64, ptr %next monotonic, align 8
  %none.left = icmp sge i64 %peek, %end
  br i1 %none.left, label %done, label %claim.one

claim.one:
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
  %p.clock = getelementptr i8, ptr %ctx, i64 «clock»
  store i64 0, ptr %p.clock
  %p.tensor = getelementptr i8, ptr %ctx, i64 «tensor_held»
  store i64 0, ptr %p.tensor
  call void @llvm.memset.p0.i64(ptr %shared, i8 -1, i64 %shared_bytes, i1 false)
  call void @llvm.memset.p0.i64(ptr %shared, i8 0, i64 %reserved_bytes, i1 false)
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
  %r.parking = getelementptr i8, ptr %r.frame, i64 16
  store <2 x i64> zeroinitializer, ptr %r.parking, align 16
  %r.next = add i64 %r, 1
  %r.more = icmp slt i64 %r.next, %n_warps
  br i1 %r.more, label %reset, label %round.first

round.first:
  br label %round

round:                                            ; every warp that is ready runs once
  %tired = phi i64 [ 0, %round.first ], [ %tired.next, %nobody.waits ], [ %tired.next, %passed ]
  %barriers = phi i64 [ 0, %round.first ], [ %barriers, %nobody.waits ], [ %barriers.next, %passed ]
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
  %returned.lanes = call i32 %warp_function(ptr %ctx, ptr %frame)
  br i1 %parks, label %warp.park, label %warp.returned

warp.park:
  %returned.warp = call i32 @tk_park(ptr %ctx, ptr %frame, i64 %w, i32 %returned.lanes)
  br label %warp.returned

warp.returned:
  %returned = phi i32 [ %returned.lanes, %warp.call ], [ %returned.warp, %warp.park ]
  store i32 %returned, ptr %p.status
  br label %warp.next

warp.next:
  %now = phi i32 [ %status, %warp.loop ], [ %returned, %warp.returned ]
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
  %finished = and i1 %none.waiting, %none.yielded
  br i1 %finished, label %finish, label %pending

finish:
  call void @tk_tensor_end(ptr %ctx)
  br label %take

pending:
  %stop2 = load atomic i64, ptr %stop.flag monotonic, align 8
  %interrupted = icmp eq i64 %stop2, 2            ; 2: stop now; 1: finish running blocks, start no other
  br i1 %interrupted, label %done, label %healthy

healthy:                                          ; a block that did what it may not do need not come to an end
  %fault = load i64, ptr %p.fault
  %failed = icmp ne i64 %fault, 0
  br i1 %failed, label %done, label %turns

turns:
  %tired.next = add i64 %tired, %yielded.next
  %pause = icmp uge i64 %tired.next, %yields
  %is.tired = icmp ne i64 %yielded.next, 0
  %come = and i1 %pause, %is.tired
  br i1 %none.waiting, label %nobody.waits, label %release

nobody.waits:
  br i1 %come, label %unfinish, label %round

unfinish:
  store i64 1, ptr %p.unfinished
  br label %come.back

come.back:
  ret i64 1

release:                                          ; before it comes back: others may have met while one goes round
  %alive = add i64 %waiting.next, %yielded.next
  %released = call i64 @tk_release(ptr %ctx, ptr %frames, i64 %frame_bytes, i64 %n_warps, i64 %alive)
  %stuck0 = icmp eq i64 %released, 0
  %stuck = and i1 %stuck0, %none.yielded
  br i1 %stuck, label %deadlock, label %passed

passed:
  %barriers.next = add i64 %barriers, 1
  %many = icmp uge i64 %barriers.next, 2520
  %back = or i1 %many, %come
  br i1 %back, label %unfinish, label %round

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
  %p.first = getelementptr i64, ptr %stop, i64 1
  %first.was = atomicrmw min ptr %p.first, i64 %block monotonic
  %was = atomicrmw max ptr %stop, i64 1 release
  br label %end

end:
  ret void
}

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
