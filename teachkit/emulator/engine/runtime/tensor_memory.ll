; Tensor memory: 512 columns of 128 lanes of 4 bytes, one column behind the other, and as many again that nobody reads:
; there goes what may not be carried out. A worker has it from its first allocation on.
;
; «tensor_held» has a bit for each piece of 32 columns that is allocated (0 to 15), a bit for each that an allocation
; begins with (16 to 31), and whether the block has given up to allocate (32). A fault says why in its bytes: faults.py.

declare i64 @llvm.ctpop.i64(i64)

define internal ptr @tk_tensor_memory(ptr %ctx) {
entry:
  %p = getelementptr i8, ptr %ctx, i64 «tensor»
  %old = load ptr, ptr %p
  %none = icmp eq ptr %old, null
  br i1 %none, label %make, label %end
make:
  %room = call ptr @realloc(ptr null, i64 524352)
  %p.room = getelementptr i8, ptr %ctx, i64 «tensor_room»
  store ptr %room, ptr %p.room
  %room.i = ptrtoint ptr %room to i64
  %room.up = add i64 %room.i, 63
  %room.at = and i64 %room.up, -64
  %new = inttoptr i64 %room.at to ptr
  store ptr %new, ptr %p
  br label %end
end:
  %memory = phi ptr [ %old, %entry ], [ %new, %make ]
  ret ptr %memory
}

; Allocates `n` columns if any of the lanes are on, and returns their address. They are all ones, which is NaN.
define i32 @tk_tensor_alloc(ptr %ctx, i32 %lanes, i32 %n32, i64 %site) {
entry:
  %off = icmp eq i32 %lanes, 0
  br i1 %off, label %nothing, label %size
size:
  %n = zext i32 %n32 to i64
  %ones = call i64 @llvm.ctpop.i64(i64 %n)
  %one = icmp eq i64 %ones, 1
  %rest = sub i64 %n, 32
  %fits = icmp ule i64 %rest, 480
  %good = and i1 %one, %fits
  br i1 %good, label %permit, label %fault
permit:
  %p.held = getelementptr i8, ptr %ctx, i64 «tensor_held»
  %held = load i64, ptr %p.held
  %given.up = icmp uge i64 %held, 4294967296
  br i1 %given.up, label %fault, label %search.first
search.first:
  %pieces = lshr i64 %n, 5
  %last = sub i64 16, %pieces
  %above = shl i64 1, %pieces
  %bits = sub i64 %above, 1
  br label %search
search:
  %at = phi i64 [ 0, %search.first ], [ %at.next, %next ]
  %wanted = shl i64 %bits, %at
  %taken = and i64 %held, %wanted
  %free = icmp eq i64 %taken, 0
  br i1 %free, label %found, label %next
next:
  %at.next = add i64 %at, 1
  %more = icmp ule i64 %at.next, %last
  br i1 %more, label %search, label %fault
found:
  %begins.at = add i64 %at, 16
  %begins = shl i64 1, %begins.at
  %held.1 = or i64 %held, %wanted
  %held.2 = or i64 %held.1, %begins
  store i64 %held.2, ptr %p.held
  %memory = call ptr @tk_tensor_memory(ptr %ctx)
  %column = shl i64 %at, 5
  %byte = shl i64 %column, 9
  %start = getelementptr i8, ptr %memory, i64 %byte
  %n.bytes = shl i64 %n, 9
  call void @llvm.memset.p0.i64(ptr %start, i8 -1, i64 %n.bytes, i1 false)
  %address = trunc i64 %column to i32
  ret i32 %address
fault:
  %why = phi i64 [ 1, %size ], [ 2, %permit ], [ 3, %next ]
  call void @tk_fault(ptr %ctx, i64 10, i64 %site, i32 %lanes, i64 %n, i64 %why)
  ret i32 0
nothing:
  ret i32 0
}

; Gives back the `n` columns at `address`, which were allocated together.
define void @tk_tensor_dealloc(ptr %ctx, i32 %lanes, i32 %address, i32 %n32, i64 %site) {
entry:
  %off = icmp eq i32 %lanes, 0
  br i1 %off, label %end, label %look
look:
  %p.held = getelementptr i8, ptr %ctx, i64 «tensor_held»
  %held = load i64, ptr %p.held
  %n = zext i32 %n32 to i64
  %column = zext i32 %address to i64
  %behind = add i64 %column, %n
  %both = or i64 %column, %n
  %odd = and i64 %both, 31
  %whole = icmp eq i64 %odd, 0
  %inside = icmp ule i64 %behind, 512
  %some = icmp ne i64 %n, 0
  %in.some = and i1 %inside, %some
  %good = and i1 %whole, %in.some
  br i1 %good, label %compare, label %fault
compare:
  %at = lshr i64 %column, 5
  %pieces = lshr i64 %n, 5
  %above = shl i64 1, %pieces
  %bits = sub i64 %above, 1
  %all = shl i64 %bits, %at
  %first = shl i64 1, %at
  %starts.up = lshr i64 %held, 16
  %starts = and i64 %starts.up, 65535
  %starts.here = and i64 %starts, %all
  %one.start = icmp eq i64 %starts.here, %first
  %held.here = and i64 %held, %all
  %all.held = icmp eq i64 %held.here, %all
  ; what follows is another allocation, or free
  %next = shl i64 %first, %pieces
  %next.held = and i64 %held, %next
  %next.starts = and i64 %starts, %next
  %next.low = and i64 %next.held, 65535
  %ends = icmp eq i64 %next.low, %next.starts
  %two = and i1 %one.start, %all.held
  %three = and i1 %two, %ends
  br i1 %three, label %free, label %fault
free:
  %first.bit = shl i64 %first, 16
  %gone = or i64 %all, %first.bit
  %stays = xor i64 %gone, -1
  %left = and i64 %held, %stays
  store i64 %left, ptr %p.held
  br label %end
fault:
  call void @tk_fault(ptr %ctx, i64 10, i64 %site, i32 %lanes, i64 %column, i64 4)
  br label %end
end:
  ret void
}

; Where the `n` columns at `address` lie, from its lane on; where nobody reads if no lane is on or it may not be: they
; must be allocated, and of the address's lane the bits of `mask` are to be `base`.
define ptr @tk_tensor_place(ptr %ctx, i32 %lanes, i32 %address, i64 %n, i64 %mask, i64 %base, i64 %site) {
entry:
  %memory = call ptr @tk_tensor_memory(ptr %ctx)
  %spare = getelementptr i8, ptr %memory, i64 262144
  %off = icmp eq i32 %lanes, 0
  br i1 %off, label %end, label %look
look:
  %a = zext i32 %address to i64
  %column = and i64 %a, 65535
  %lane = lshr i64 %a, 16
  %behind = add i64 %column, %n
  %inside = icmp ule i64 %behind, 512
  br i1 %inside, label %compare, label %fault
compare:
  %p.held = getelementptr i8, ptr %ctx, i64 «tensor_held»
  %held = load i64, ptr %p.held
  %first = lshr i64 %column, 5
  %most = add i64 %behind, 31
  %end.piece = lshr i64 %most, 5
  %above = shl i64 1, %end.piece
  %below = shl i64 1, %first
  %wanted = sub i64 %above, %below
  %found = and i64 %held, %wanted
  %all = icmp eq i64 %found, %wanted
  br i1 %all, label %row, label %fault
row:
  %part = and i64 %lane, %mask
  %mine = icmp eq i64 %part, %base
  br i1 %mine, label %good, label %fault
good:
  %column.bytes = shl i64 %column, 9
  %lane.bytes = shl i64 %lane, 2
  %offset = add i64 %column.bytes, %lane.bytes
  %place = getelementptr i8, ptr %memory, i64 %offset
  ret ptr %place
fault:
  %why = phi i64 [ 5, %look ], [ 5, %compare ], [ 6, %row ]
  call void @tk_fault(ptr %ctx, i64 10, i64 %site, i32 %lanes, i64 %a, i64 %why)
  br label %end
end:
  ret ptr %spare
}

; A block is done: it must have given back all that it allocated.
define internal void @tk_tensor_end(ptr %ctx) {
entry:
  %p.held = getelementptr i8, ptr %ctx, i64 «tensor_held»
  %held = load i64, ptr %p.held
  store i64 0, ptr %p.held
  %pieces = and i64 %held, 65535
  %none = icmp eq i64 %pieces, 0
  br i1 %none, label %end, label %fault
fault:
  call void @tk_fault(ptr %ctx, i64 10, i64 -1, i32 -1, i64 %pieces, i64 9)
  br label %end
end:
  ret void
}

; The block allocates no more.
define void @tk_tensor_relinquish(ptr %ctx, i32 %lanes, i64 %site) {
entry:
  %p.held = getelementptr i8, ptr %ctx, i64 «tensor_held»
  %held = load i64, ptr %p.held
  %on = icmp ne i32 %lanes, 0
  %bit = select i1 %on, i64 4294967296, i64 0
  %new = or i64 %held, %bit
  store i64 %new, ptr %p.held
  ret void
}
