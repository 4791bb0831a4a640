; Copies of boxes of tensors. Rows of the table: address of the map, address in shared memory, five coordinates of
; which the first `rank` count, and the number of bytes that the box has, which is filled in. Returns the lanes that
; copied.
define i32 @tk_box(ptr %ctx, i32 %lanes, ptr %table, i64 %is.store, i64 %rank, i64 %site, i64 %site.shared, i64 %parameters.end, ptr %reduce, ptr %check) {
entry:
  %empty = icmp eq i32 %lanes, 0
  br i1 %empty, label %end, label %lane

lane:
  %left = phi i32 [ %lanes, %entry ], [ %left.next, %lane.end ]
  %live = phi i32 [ 0, %entry ], [ %live.next, %lane.end ]
  %number32 = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %number = zext i32 %number32 to i64
  %column = getelementptr i64, ptr %table, i64 %number
  %map = load i64, ptr %column
  %reason = call i64 @tk_map_reason(ptr %ctx, i64 %map, i64 %parameters.end, i64 %rank, i64 %is.store, ptr %reduce)
  %good = icmp eq i64 %reason, 0
  br i1 %good, label %copy, label %refuse

refuse:
  call void @tk_lane_fault(ptr %ctx, i64 9, i64 %site, i64 %number, i64 %map, i64 %reason)
  br label %lane.end

copy:
  %done = call i1 @tk_box_of_lane(ptr %ctx, i64 %number, ptr %column, i64 %is.store, i64 %rank, i64 %site, i64 %site.shared, ptr %reduce, ptr %check)
  %done.32 = zext i1 %done to i32
  %bit = shl i32 %done.32, %number32
  br label %lane.end

lane.end:
  %went = phi i32 [ 0, %refuse ], [ %bit, %copy ]
  %live.next = or i32 %live, %went
  %minus = sub i32 %left, 1
  %left.next = and i32 %left, %minus
  %more = icmp ne i32 %left.next, 0
  br i1 %more, label %lane, label %end

end:
  %result = phi i32 [ 0, %entry ], [ %live.next, %lane.end ]
  ret i32 %result
}

define internal i1 @tk_box_of_lane(ptr %ctx, i64 %number, ptr %column, i64 %is.store, i64 %rank, i64 %site, i64 %site.shared, ptr %reduce, ptr %check) {
entry:
  %from = alloca [5 x i64], align 16              ; of each dimension: the first index of the box that is in the tensor,
  %to = alloca [5 x i64], align 16                ; the first behind that is not,
  %count = alloca [5 x i64], align 16             ; how many the box has,
  %step = alloca [5 x i64], align 16              ; bytes from one to the next,
  %index = alloca [5 x i64], align 16             ; and where the copy is
  %map = load i64, ptr %column
  %m = inttoptr i64 %map to ptr
  %p.shared = getelementptr i64, ptr %column, i64 32
  %shared = load i64, ptr %p.shared
  %address = load i64, ptr %m, align 1
  %p.type = getelementptr i8, ptr %m, i64 13
  %type.8 = load i8, ptr %p.type
  %type = zext i8 %type.8 to i64
  %bytes = call i64 @tk_type_bytes(i8 %type.8)
  %address.wide = zext i64 %address to i128
  %bytes.wide = zext i64 %bytes to i128
  br label %dimension

dimension:                                        ; the first and the last byte that are touched in global memory
  %d = phi i64 [ 0, %entry ], [ %d.next, %dimension ]
  %n.all = phi i64 [ 1, %entry ], [ %n.all.next, %dimension ]
  %any = phi i1 [ true, %entry ], [ %any.next, %dimension ]
  %lowest = phi i128 [ %address.wide, %entry ], [ %lowest.next, %dimension ]
  %highest = phi i128 [ %address.wide, %entry ], [ %highest.next, %dimension ]
  %origin = phi i64 [ %address, %entry ], [ %origin.next, %dimension ]
  %is.inner = icmp eq i64 %d, 0
  %rows.before = add i64 %d, 2
  %before = shl i64 %rows.before, 5
  %p.coordinate = getelementptr i64, ptr %column, i64 %before
  %coordinate = load i64, ptr %p.coordinate
  %p.sizes = getelementptr i8, ptr %m, i64 24
  %p.size = getelementptr i64, ptr %p.sizes, i64 %d
  %size = load i64, ptr %p.size, align 1
  %p.boxes = getelementptr i8, ptr %m, i64 96
  %p.box = getelementptr i32, ptr %p.boxes, i64 %d
  %box.32 = load i32, ptr %p.box, align 1
  %box = zext i32 %box.32 to i64
  %p.every = getelementptr i8, ptr %m, i64 116
  %p.every.d = getelementptr i8, ptr %p.every, i64 %d
  %every.8 = load i8, ptr %p.every.d
  %every.own = zext i8 %every.8 to i64
  %every = select i1 %is.inner, i64 1, i64 %every.own
  %p.strides = getelementptr i8, ptr %m, i64 56
  %p.stride = getelementptr i64, ptr %p.strides, i64 %d
  %stride.own = load i64, ptr %p.stride, align 1
  %stride = select i1 %is.inner, i64 %bytes, i64 %stride.own
  %every.less = sub i64 %every, 1
  %box.up = add i64 %box, %every.less
  %n = udiv i64 %box.up, %every
  %below = sub i64 0, %coordinate
  %missing = call i64 @llvm.smax.i64(i64 %below, i64 0)
  %missing.up = add i64 %missing, %every.less
  %first = udiv i64 %missing.up, %every
  %room.0 = sub i64 %size, %coordinate
  %room = call i64 @llvm.smax.i64(i64 %room.0, i64 0)
  %room.up = add i64 %room, %every.less
  %room.n = udiv i64 %room.up, %every
  %stop = call i64 @llvm.umin.i64(i64 %room.n, i64 %n)
  %some = icmp ult i64 %first, %stop
  %any.next = and i1 %any, %some
  %n.all.next = mul i64 %n.all, %n
  %p.from = getelementptr i64, ptr %from, i64 %d
  %p.to = getelementptr i64, ptr %to, i64 %d
  %p.count = getelementptr i64, ptr %count, i64 %d
  %p.step = getelementptr i64, ptr %step, i64 %d
  %p.index = getelementptr i64, ptr %index, i64 %d
  %step.d = mul i64 %stride, %every
  store i64 %first, ptr %p.from
  store i64 %stop, ptr %p.to
  store i64 %n, ptr %p.count
  store i64 %step.d, ptr %p.step
  store i64 0, ptr %p.index
  %stride.wide = zext i64 %stride to i128
  %first.d = mul i64 %first, %every
  %low.at = add i64 %coordinate, %first.d
  %last = sub i64 %stop, 1
  %last.d = mul i64 %last, %every
  %high.at = add i64 %coordinate, %last.d
  %low.wide = sext i64 %low.at to i128
  %high.wide = sext i64 %high.at to i128
  %low.bytes = mul i128 %low.wide, %stride.wide
  %high.bytes = mul i128 %high.wide, %stride.wide
  %lowest.next = add i128 %lowest, %low.bytes
  %highest.next = add i128 %highest, %high.bytes
  %coordinate.bytes = mul i64 %coordinate, %stride
  %origin.next = add i64 %origin, %coordinate.bytes
  %d.next = add i64 %d, 1
  %more.dimensions = icmp ult i64 %d.next, %rank
  br i1 %more.dimensions, label %dimension, label %box.known

box.known:
  %n.bytes = mul i64 %n.all.next, %bytes
  %p.n.bytes = getelementptr i64, ptr %column, i64 224
  store i64 %n.bytes, ptr %p.n.bytes
  %shared.there = call i1 @tk_in_shared(ptr %ctx, i64 %shared, i64 %n.bytes)
  br i1 %shared.there, label %shared.known, label %shared.outside

shared.outside:
  call void @tk_lane_fault(ptr %ctx, i64 1, i64 %site.shared, i64 %number, i64 %shared, i64 %n.bytes)
  ret i1 false

shared.known:
  %shared.rest = and i64 %shared, 127
  %shared.even = icmp eq i64 %shared.rest, 0
  br i1 %shared.even, label %shared.good, label %shared.odd

shared.odd:
  call void @tk_lane_fault(ptr %ctx, i64 2, i64 %site.shared, i64 %number, i64 %shared, i64 128)
  ret i1 false

shared.good:
  br i1 %any.next, label %global.look, label %rows

global.look:
  %end.wide = add i128 %highest.next, %bytes.wide
  %extent.wide = sub i128 %end.wide, %lowest.next
  %end.high = lshr i128 %end.wide, 63
  %is.address = icmp eq i128 %end.high, 0
  %lowest.64 = trunc i128 %lowest.next to i64
  %extent.64 = trunc i128 %extent.wide to i64
  br i1 %is.address, label %global.search, label %global.outside

global.search:
  %interval = call ptr @tk_interval_of(ptr %ctx, i64 %lowest.64, i64 %extent.64)
  %known = icmp ne ptr %interval, null
  br i1 %known, label %global.good, label %global.outside

global.outside:
  call void @tk_lane_fault(ptr %ctx, i64 1, i64 %site, i64 %number, i64 %lowest.64, i64 %extent.64)
  ret i1 false

global.good:
  %low = load i64, ptr %interval
  %misplaced.0 = call i64 @tk_before_sector(i64 %low, i64 16)
  %counts = icmp sge i64 %site, 0
  br i1 %counts, label %reserve, label %rows

reserve:
  %n.rows = lshr i64 %n.bytes, 4
  call void @tk_reserve_more(ptr %ctx, i64 %n.rows)
  br label %rows

rows:
  %misplaced = phi i64 [ 0, %shared.good ], [ %misplaced.0, %global.good ], [ %misplaced.0, %reserve ]
  %traces = phi i1 [ false, %shared.good ], [ false, %global.good ], [ true, %reserve ]
  %bits = call i64 @tk_bulk_bits(i64 %is.store, ptr %reduce)
  %row.from.n = load i64, ptr %from
  %row.to.n = load i64, ptr %to
  %row.n = load i64, ptr %count
  %row.from = mul i64 %row.from.n, %bytes
  %row.to = mul i64 %row.to.n, %bytes
  %row.bytes = mul i64 %row.n, %bytes
  %p.swizzle = getelementptr i8, ptr %m, i64 14
  %swizzle.8 = load i8, ptr %p.swizzle
  %swizzle = zext i8 %swizzle.8 to i64
  %chunks = shl i64 16, %swizzle
  %swizzle.mask = sub i64 %chunks, 16             ; chunks of 16 bytes in a span, as bits of an address
  %p.base = getelementptr i8, ptr %ctx, i64 «shared»
  %base = load i64, ptr %p.base
  %p.fill = getelementptr i8, ptr %m, i64 15
  %fill = load i8, ptr %p.fill
  %pattern = call <2 x i64> @tk_fill(i8 %fill, i64 %bytes)
  %whole.0 = icmp eq i64 %row.from, 0
  %whole.1 = icmp eq i64 %row.to, %row.bytes
  %whole.2 = icmp eq i64 %swizzle, 0
  %whole.3 = and i1 %whole.0, %whole.1
  %whole.4 = and i1 %whole.2, %whole.3
  %quick.0 = icmp eq ptr %reduce, null
  %quick.1 = icmp eq ptr %check, null
  %quick.2 = icmp ne i8 %type.8, 11
  %quick.3 = and i1 %quick.0, %quick.1
  %quick = and i1 %quick.2, %quick.3              ; nothing but to copy
  %whole = and i1 %whole.4, %quick                ; rows that are one run in both memories
  %full = and i1 %whole.3, %quick                 ; or one in global memory, whose chunks only change places
  br label %row

row:
  %g = phi i64 [ %origin.next, %rows ], [ %g.up, %row.next ]
  %s = phi i64 [ %shared, %rows ], [ %s.next, %row.next ]
  %valid.0 = icmp ult i64 %row.from, %row.to
  br label %outer

outer:                                            ; is the row in the tensor?
  %o = phi i64 [ 1, %row ], [ %o.next, %outer.look ]
  %valid = phi i1 [ %valid.0, %row ], [ %valid.next, %outer.look ]
  %o.more = icmp ult i64 %o, %rank
  br i1 %o.more, label %outer.look, label %row.move

outer.look:
  %p.o.index = getelementptr i64, ptr %index, i64 %o
  %p.o.from = getelementptr i64, ptr %from, i64 %o
  %p.o.to = getelementptr i64, ptr %to, i64 %o
  %o.index = load i64, ptr %p.o.index
  %o.from = load i64, ptr %p.o.from
  %o.to = load i64, ptr %p.o.to
  %o.above = icmp uge i64 %o.index, %o.from
  %o.below = icmp ult i64 %o.index, %o.to
  %o.in = and i1 %o.above, %o.below
  %valid.next = and i1 %valid, %o.in
  %o.next = add i64 %o, 1
  br label %outer

row.move:
  %a = select i1 %valid, i64 %row.from, i64 0
  %b = select i1 %valid, i64 %row.to, i64 0
  %row.traces = and i1 %traces, %valid
  br i1 %row.traces, label %row.trace, label %row.copy

row.trace:
  %g.first = add i64 %g, %a
  %g.placed = sub i64 %g.first, %misplaced
  %ab = sub i64 %b, %a
  call void @tk_trace_run(ptr %ctx, i64 %g.placed, i64 %ab, i64 %bits)
  br label %row.copy

row.copy:
  %row.whole = and i1 %valid, %whole
  %row.full = and i1 %valid, %full
  br i1 %row.whole, label %row.at.once, label %row.look

row.look:
  br i1 %row.full, label %row.swizzled, label %chunk

row.swizzled:                                     ; a row has the width of its swizzle, so that one number moves its chunks
  %w.start = sub i64 %s, %base
  %w.high = lshr i64 %w.start, 3
  %w.flip = and i64 %w.high, %swizzle.mask
  %w.storing = icmp ne i64 %is.store, 0
  br label %swizzled

swizzled:
  %w = phi i64 [ 0, %row.swizzled ], [ %w.next, %swizzled ]
  %w.offset = add i64 %w.start, %w
  %w.moved = xor i64 %w.offset, %w.flip
  %w.s = add i64 %base, %w.moved
  %w.g = add i64 %g, %w
  %w.s.p = inttoptr i64 %w.s to ptr
  %w.g.p = inttoptr i64 %w.g to ptr
  %w.source = select i1 %w.storing, ptr %w.s.p, ptr %w.g.p
  %w.target = select i1 %w.storing, ptr %w.g.p, ptr %w.s.p
  %w.data = load <2 x i64>, ptr %w.source, align 1
  store <2 x i64> %w.data, ptr %w.target, align 1
  %w.next = add i64 %w, 16
  %w.more = icmp ult i64 %w.next, %row.bytes
  br i1 %w.more, label %swizzled, label %row.end

row.at.once:
  %g.p = inttoptr i64 %g to ptr
  %s.p = inttoptr i64 %s to ptr
  %storing = icmp ne i64 %is.store, 0
  %source = select i1 %storing, ptr %s.p, ptr %g.p
  %target = select i1 %storing, ptr %g.p, ptr %s.p
  call void @llvm.memcpy.p0.p0.i64(ptr %target, ptr %source, i64 %row.bytes, i1 false)
  br label %row.end

chunk:
  %at = phi i64 [ 0, %row.look ], [ %at.next, %chunk.end ]
  %at.next = add i64 %at, 16
  %chunk.from.0 = call i64 @llvm.umax.i64(i64 %at, i64 %a)
  %chunk.to.0 = call i64 @llvm.umin.i64(i64 %at.next, i64 %b)
  %chunk.to = call i64 @llvm.umax.i64(i64 %chunk.to.0, i64 %chunk.from.0)
  %chunk.n = sub i64 %chunk.to, %chunk.from.0
  %chunk.none = icmp eq i64 %chunk.n, 0
  %skip.0 = sub i64 %chunk.from.0, %at
  %skip = select i1 %chunk.none, i64 0, i64 %skip.0
  %s.at = add i64 %s, %at
  %s.offset = sub i64 %s.at, %base
  %s.high = lshr i64 %s.offset, 3
  %s.flip = and i64 %s.high, %swizzle.mask
  %s.swizzled = xor i64 %s.offset, %s.flip
  %s.place = add i64 %base, %s.swizzled
  %g.at = add i64 %g, %chunk.from.0
  %chunk.full = icmp eq i64 %chunk.n, 16
  %chunk.quick = and i1 %chunk.full, %quick
  br i1 %chunk.quick, label %chunk.at.once, label %chunk.part

chunk.at.once:
  %c.g = inttoptr i64 %g.at to ptr
  %c.s = inttoptr i64 %s.place to ptr
  %c.storing = icmp ne i64 %is.store, 0
  %c.source = select i1 %c.storing, ptr %c.s, ptr %c.g
  %c.target = select i1 %c.storing, ptr %c.g, ptr %c.s
  %c.data = load <2 x i64>, ptr %c.source, align 1
  store <2 x i64> %c.data, ptr %c.target, align 1
  br label %chunk.end

chunk.part:
  call void @tk_chunk(ptr %ctx, i64 %is.store, i64 %g.at, i64 %s.place, i64 %skip, i64 %chunk.n, <2 x i64> %pattern, i64 %type, i64 %bytes, i64 %number, ptr %reduce, ptr %check)
  br label %chunk.end

chunk.end:
  %chunk.more = icmp ult i64 %at.next, %row.bytes
  br i1 %chunk.more, label %chunk, label %row.end

row.end:
  %s.next = add i64 %s, %row.bytes
  br label %carry

carry:                                            ; the next row: count up from the second dimension on
  %c = phi i64 [ 1, %row.end ], [ %c.next, %carry.over ]
  %g.c = phi i64 [ %g, %row.end ], [ %g.back, %carry.over ]
  %c.more = icmp ult i64 %c, %rank
  br i1 %c.more, label %carry.count, label %end

carry.count:
  %p.c.index = getelementptr i64, ptr %index, i64 %c
  %p.c.count = getelementptr i64, ptr %count, i64 %c
  %p.c.step = getelementptr i64, ptr %step, i64 %c
  %c.index = load i64, ptr %p.c.index
  %c.count = load i64, ptr %p.c.count
  %c.step = load i64, ptr %p.c.step
  %c.index.next = add i64 %c.index, 1
  %g.up = add i64 %g.c, %c.step
  %c.stays = icmp ult i64 %c.index.next, %c.count
  br i1 %c.stays, label %row.next, label %carry.over

carry.over:
  store i64 0, ptr %p.c.index
  %c.all = mul i64 %c.count, %c.step
  %g.back = sub i64 %g.up, %c.all
  %c.next = add i64 %c, 1
  br label %carry

row.next:
  store i64 %c.index.next, ptr %p.c.index
  br label %row

end:
  ret i1 true
}

; What elements outside the tensor read as: zero, or the NaN that PTX calls canonical.
define internal <2 x i64> @tk_fill(i8 %fill, i64 %bytes) {
  %is.nan = icmp eq i8 %fill, 1
  %is.16 = icmp eq i64 %bytes, 2
  %is.32 = icmp eq i64 %bytes, 4
  %wide = select i1 %is.32, i64 9223372034707292159, i64 9223372036854775807
  %nan = select i1 %is.16, i64 9223231297218904063, i64 %wide
  %one = select i1 %is.nan, i64 %nan, i64 0
  %v.0 = insertelement <2 x i64> poison, i64 %one, i64 0
  %v.1 = insertelement <2 x i64> %v.0, i64 %one, i64 1
  ret <2 x i64> %v.1
}
