; Bulk copies between global and shared memory, of runs of bytes and of boxes of tensors. Every lane that is on copies
; by itself, from a table with a row of 32 numbers of 64 bits for each of its operands. `site`: where it is counted,
; its complement where nothing is; `site.shared` likewise for faults in shared memory. `reduce`: null, or a function
; that combines elements instead of storing them. `check`: null, or the monitor's.
;
; A tensor map has the layout of tensor_map.py. Bytes of an element of each type, 0 where it is not emulated:
define internal i64 @tk_type_bytes(i8 %type) {
  switch i8 %type, label %none [
    i8 0, label %of.1
    i8 1, label %of.2
    i8 2, label %of.4
    i8 3, label %of.4
    i8 4, label %of.8
    i8 5, label %of.8
    i8 6, label %of.2
    i8 7, label %of.4
    i8 9, label %of.8
    i8 10, label %of.2
    i8 11, label %of.4
  ]

of.1:
  ret i64 1

of.2:
  ret i64 2

of.4:
  ret i64 4

of.8:
  ret i64 8

none:
  ret i64 0
}

; The interval of the launch that holds `n` bytes from `first`, null where none does.
define internal ptr @tk_interval_of(ptr %ctx, i64 %first, i64 %n) {
entry:
  %p.count = getelementptr i8, ptr %ctx, i64 «n_bounds»
  %count = load i64, ptr %p.count
  %p.bounds = getelementptr i8, ptr %ctx, i64 «bounds»
  %bounds = load ptr, ptr %p.bounds
  br label %next

next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %try ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %try, label %none

try:
  %p.low = getelementptr [2 x i64], ptr %bounds, i64 %i
  %p.high = getelementptr i64, ptr %p.low, i64 1
  %low = load i64, ptr %p.low
  %high = load i64, ptr %p.high
  %span = sub i64 %high, %low
  %fits = icmp uge i64 %span, %n
  %room = sub i64 %span, %n
  %at = sub i64 %first, %low
  %near = icmp ule i64 %at, %room
  %holds = and i1 %fits, %near
  %i.next = add i64 %i, 1
  br i1 %holds, label %found, label %next

found:
  ret ptr %p.low

none:
  ret ptr null
}

; Whether `n` bytes from `first` are in the block's shared memory.
define internal i1 @tk_in_shared(ptr %ctx, i64 %first, i64 %n) {
  %p.low = getelementptr i8, ptr %ctx, i64 «shared»
  %p.high = getelementptr i8, ptr %ctx, i64 «shared_end»
  %low = load i64, ptr %p.low
  %high = load i64, ptr %p.high
  %span = sub i64 %high, %low
  %fits = icmp uge i64 %span, %n
  %room = sub i64 %span, %n
  %at = sub i64 %first, %low
  %near = icmp ule i64 %at, %room
  %holds = and i1 %fits, %near
  ret i1 %holds
}

; Room for `n` more words in the trace, besides what is always kept free.
define internal void @tk_reserve_more(ptr %ctx, i64 %n) {
  %p = getelementptr i8, ptr %ctx, i64 «trace_reserve»
  %old = load i64, ptr %p
  %bytes = shl i64 %n, 3
  %wanted = add i64 %old, %bytes
  store i64 %wanted, ptr %p
  call void @tk_trace_reserve(ptr %ctx)
  store i64 %old, ptr %p
  ret void
}

; Appends the sectors of `n` (not 0) bytes from `first` to the trace, up to 128 a record.
define internal void @tk_trace_run(ptr %ctx, i64 %first, i64 %n, i64 %bits) {
entry:
  %p.cursor = getelementptr i8, ptr %ctx, i64 «trace_cursor»
  %cursor.0 = load ptr, ptr %p.cursor
  %start = lshr i64 %first, 5
  %end = add i64 %first, %n
  %before.end = sub i64 %end, 1
  %last = lshr i64 %before.end, 5
  br label %record

record:
  %sector = phi i64 [ %start, %entry ], [ %sector.next, %record ]
  %cursor = phi ptr [ %cursor.0, %entry ], [ %cursor.next, %record ]
  %left = sub i64 %last, %sector
  %more = call i64 @llvm.umin.i64(i64 %left, i64 127)
  %place = shl i64 %sector, 8
  %n.more = shl i64 %more, 1
  %word.0 = or i64 %place, %n.more
  %word = or i64 %word.0, %bits
  store i64 %word, ptr %cursor
  %cursor.next = getelementptr i64, ptr %cursor, i64 1
  %after = add i64 %sector, %more
  %sector.next = add i64 %after, 1
  %go.on = icmp ule i64 %sector.next, %last
  br i1 %go.on, label %record, label %end.of.run

end.of.run:
  store ptr %cursor.next, ptr %p.cursor
  ret void
}

; The trace's bits of a bulk access: it passes by the L1; a reduction reads and writes at the L2.
define internal i64 @tk_bulk_bits(i64 %is.store, ptr %reduce) {
  %plain = icmp eq ptr %reduce, null
  %is.load = icmp eq i64 %is.store, 0
  %bits.plain = select i1 %is.load, i64 4611686018427387904, i64 1 ; TRACE_ATOMIC_BIT
  %bits = select i1 %plain, i64 %bits.plain, i64 4611686018427387905
  ret i64 %bits
}

define internal i64 @tk_place_of(i64 %site) {
  %silent = icmp slt i64 %site, 0
  %inverse = xor i64 %site, -1
  %place = select i1 %silent, i64 %inverse, i64 %site
  ret i64 %place
}

define internal void @tk_lane_fault(ptr %ctx, i64 %kind, i64 %site, i64 %lane, i64 %address, i64 %n) {
  %place = call i64 @tk_place_of(i64 %site)
  %lane32 = trunc i64 %lane to i32
  %bit = shl i32 1, %lane32
  call void @tk_fault(ptr %ctx, i64 %kind, i64 %place, i32 %bit, i64 %address, i64 %n)
  ret void
}

; Moves at most 16 bytes of a row: `n` of them are in the tensor, from `skip` on. A load puts `pattern` around them.
define internal void @tk_chunk(ptr %ctx, i64 %is.store, i64 %global, i64 %shared, i64 %skip, i64 %n, <2 x i64> %pattern, i64 %type, i64 %size, i64 %lane, ptr %reduce, ptr %check) {
entry:
  %chunk = alloca <2 x i64>, align 16
  %g = inttoptr i64 %global to ptr
  %s = inttoptr i64 %shared to ptr
  %inside = getelementptr i8, ptr %chunk, i64 %skip
  %none = icmp eq i64 %n, 0
  %storing = icmp ne i64 %is.store, 0
  br i1 %storing, label %out, label %in

in:
  store <2 x i64> %pattern, ptr %chunk
  br i1 %none, label %filled, label %fetch

fetch:
  call void @llvm.memcpy.p0.p0.i64(ptr %inside, ptr %g, i64 %n, i1 false)
  %is.tf32 = icmp eq i64 %type, 11
  br i1 %is.tf32, label %round, label %filled

round:                                            ; to the nearest of 10 bits, even if there are two; not infinity and NaN
  %words = load <4 x i32>, ptr %chunk
  %exponent = and <4 x i32> %words, splat (i32 2139095040)
  %special = icmp eq <4 x i32> %exponent, splat (i32 2139095040)
  %last = lshr <4 x i32> %words, splat (i32 13)
  %odd = and <4 x i32> %last, splat (i32 1)
  %half = add <4 x i32> %odd, splat (i32 4095)
  %up = add <4 x i32> %words, %half
  %cut = and <4 x i32> %up, splat (i32 -8192)
  %rounded = select <4 x i1> %special, <4 x i32> %words, <4 x i32> %cut
  store <4 x i32> %rounded, ptr %chunk
  br label %filled

filled:
  %checked.in = icmp ne ptr %check, null
  br i1 %checked.in, label %ask.in, label %land

ask.in:
  call void %check(ptr %ctx, i64 %lane, i64 %global, i64 %n, i64 %size, i64 %shared, ptr %chunk)
  br label %land

land:
  %data = load <2 x i64>, ptr %chunk
  store <2 x i64> %data, ptr %s, align 1
  ret void

out:
  br i1 %none, label %end, label %take

take:
  %from = getelementptr i8, ptr %s, i64 %skip
  %from.i = add i64 %shared, %skip
  %checked.out = icmp ne ptr %check, null
  br i1 %checked.out, label %ask.out, label %move

ask.out:
  call void %check(ptr %ctx, i64 %lane, i64 %global, i64 %n, i64 %size, i64 %from.i, ptr %from)
  br label %move

move:
  %plain = icmp eq ptr %reduce, null
  br i1 %plain, label %put, label %combine

put:
  call void @llvm.memcpy.p0.p0.i64(ptr %g, ptr %from, i64 %n, i1 false)
  ret void

combine:
  %done = call i1 %reduce(ptr %g, ptr %from, i64 %n, i64 %type)
  ret void

end:
  ret void
}

; Bulk copies of runs of bytes. Rows of the table: address in global memory, in shared memory, number of bytes.
; `type`: of the elements that are combined. Returns the lanes that copied.
define i32 @tk_bulk(ptr %ctx, i32 %lanes, ptr %table, i64 %is.store, i64 %type, i64 %site, i64 %site.shared, ptr %reduce, ptr %check) {
entry:
  %bits = call i64 @tk_bulk_bits(i64 %is.store, ptr %reduce)
  %counts = icmp sge i64 %site, 0
  %empty = icmp eq i32 %lanes, 0
  br i1 %empty, label %end, label %lane

lane:
  %left = phi i32 [ %lanes, %entry ], [ %left.next, %lane.end ]
  %live = phi i32 [ 0, %entry ], [ %live.next, %lane.end ]
  %number32 = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %number = zext i32 %number32 to i64
  %p.global = getelementptr i64, ptr %table, i64 %number
  %p.shared = getelementptr i64, ptr %p.global, i64 32
  %p.n = getelementptr i64, ptr %p.global, i64 64
  %global = load i64, ptr %p.global
  %shared = load i64, ptr %p.shared
  %n = load i64, ptr %p.n
  %interval = call ptr @tk_interval_of(ptr %ctx, i64 %global, i64 %n)
  %known = icmp ne ptr %interval, null
  br i1 %known, label %global.there, label %global.outside

global.outside:
  call void @tk_lane_fault(ptr %ctx, i64 1, i64 %site, i64 %number, i64 %global, i64 %n)
  br label %lane.end

global.there:
  %shared.there = call i1 @tk_in_shared(ptr %ctx, i64 %shared, i64 %n)
  br i1 %shared.there, label %both.there, label %shared.outside

shared.outside:
  call void @tk_lane_fault(ptr %ctx, i64 1, i64 %site.shared, i64 %number, i64 %shared, i64 %n)
  br label %lane.end

both.there:                                       ; the number of bytes is a multiple of 16 like the addresses
  %low = load i64, ptr %interval
  %global.or.n = or i64 %global, %n
  %global.rest = and i64 %global.or.n, 15
  %global.even = icmp eq i64 %global.rest, 0
  br i1 %global.even, label %global.good, label %global.odd

global.odd:
  call void @tk_lane_fault(ptr %ctx, i64 2, i64 %site, i64 %number, i64 %global, i64 16)
  br label %lane.end

global.good:
  %shared.rest = and i64 %shared, 15
  %shared.even = icmp eq i64 %shared.rest, 0
  br i1 %shared.even, label %good, label %shared.odd

shared.odd:
  call void @tk_lane_fault(ptr %ctx, i64 2, i64 %site.shared, i64 %number, i64 %shared, i64 16)
  br label %lane.end

good:
  %something = icmp ne i64 %n, 0
  %counted = and i1 %counts, %something
  br i1 %counted, label %trace, label %copy

trace:
  %n.records = lshr i64 %n, 11
  %n.room = add i64 %n.records, 2
  call void @tk_reserve_more(ptr %ctx, i64 %n.room)
  %misplaced = call i64 @tk_before_sector(i64 %low, i64 16)
  %first = sub i64 %global, %misplaced
  call void @tk_trace_run(ptr %ctx, i64 %first, i64 %n, i64 %bits)
  br label %copy

copy:
  %type.8 = trunc i64 %type to i8
  %size.own = call i64 @tk_type_bytes(i8 %type.8)
  %plain = icmp eq ptr %reduce, null
  %size = select i1 %plain, i64 16, i64 %size.own
  %unchecked = icmp eq ptr %check, null
  %is.run = and i1 %plain, %unchecked
  br i1 %is.run, label %run, label %chunk

run:
  %g.p = inttoptr i64 %global to ptr
  %s.p = inttoptr i64 %shared to ptr
  %storing = icmp ne i64 %is.store, 0
  %source = select i1 %storing, ptr %s.p, ptr %g.p
  %target = select i1 %storing, ptr %g.p, ptr %s.p
  call void @llvm.memcpy.p0.p0.i64(ptr %target, ptr %source, i64 %n, i1 false)
  br label %copied

chunk:
  %at = phi i64 [ 0, %copy ], [ %at.next, %chunk.do ]
  %more.bytes = icmp ult i64 %at, %n
  br i1 %more.bytes, label %chunk.do, label %copied

chunk.do:
  %g = add i64 %global, %at
  %s = add i64 %shared, %at
  call void @tk_chunk(ptr %ctx, i64 %is.store, i64 %g, i64 %s, i64 0, i64 16, <2 x i64> zeroinitializer, i64 %type, i64 %size, i64 %number, ptr %reduce, ptr %check)
  %at.next = add i64 %at, 16
  br label %chunk

copied:
  %bit = shl i32 1, %number32
  br label %lane.end

lane.end:
  %went = phi i32 [ 0, %global.outside ], [ 0, %shared.outside ], [ 0, %global.odd ], [ 0, %shared.odd ], [ %bit, %copied ]
  %live.next = or i32 %live, %went
  %minus = sub i32 %left, 1
  %left.next = and i32 %left, %minus
  %more = icmp ne i32 %left.next, 0
  br i1 %more, label %lane, label %end

end:
  %result = phi i32 [ 0, %entry ], [ %live.next, %lane.end ]
  ret i32 %result
}

; Why nothing can be copied by the map at an address, as engine/faults.py numbers the reasons; 0 where it is good.
define internal i64 @tk_map_reason(ptr %ctx, i64 %map, i64 %parameters.end, i64 %rank, i64 %is.store, ptr %reduce) {
entry:
  %p.parameters = getelementptr i8, ptr %ctx, i64 «params»
  %parameters = load i64, ptr %p.parameters
  %room.0 = sub i64 %parameters.end, %parameters
  %room = call i64 @llvm.usub.sat.i64(i64 %room.0, i64 127)
  %in.parameters = sub i64 %map, %parameters
  %is.parameter = icmp ult i64 %in.parameters, %room
  br i1 %is.parameter, label %there, label %search

search:
  %interval = call ptr @tk_interval_of(ptr %ctx, i64 %map, i64 128)
  %nowhere = icmp eq ptr %interval, null
  br i1 %nowhere, label %reason.1, label %found

found:
  %low = load i64, ptr %interval
  br label %there

there:
  %start = phi i64 [ %parameters, %entry ], [ %low, %found ]
  %behind = sub i64 %map, %start
  %rest = and i64 %behind, 63
  %odd = icmp ne i64 %rest, 0
  br i1 %odd, label %reason.2, label %look

look:
  %m = inttoptr i64 %map to ptr
  %p.magic = getelementptr i8, ptr %m, i64 8
  %magic = load i32, ptr %p.magic, align 1
  %is.map = icmp eq i32 %magic, 1802792308        ; MAGIC
  br i1 %is.map, label %fields, label %reason.3

fields:
  %address = load i64, ptr %m, align 1
  %p.rank = getelementptr i8, ptr %m, i64 12
  %p.type = getelementptr i8, ptr %m, i64 13
  %p.swizzle = getelementptr i8, ptr %m, i64 14
  %p.fill = getelementptr i8, ptr %m, i64 15
  %p.interleave = getelementptr i8, ptr %m, i64 16
  %rank.8 = load i8, ptr %p.rank
  %rank.less = zext i8 %rank.8 to i64
  %rank.own = add i64 %rank.less, 1
  %other.rank = icmp ne i64 %rank.own, %rank
  br i1 %other.rank, label %reason.4, label %dimension.start

dimension.start:
  %address.rest = and i64 %address, 15
  %address.odd = icmp ne i64 %address.rest, 0
  br label %dimension

dimension:
  %d = phi i64 [ 0, %dimension.start ], [ %d.next, %dimension ]
  %bad.box = phi i1 [ false, %dimension.start ], [ %bad.box.next, %dimension ]
  %bad.place = phi i1 [ %address.odd, %dimension.start ], [ %bad.place.next, %dimension ]
  %p.sizes = getelementptr i8, ptr %m, i64 24
  %p.size = getelementptr i64, ptr %p.sizes, i64 %d
  %size = load i64, ptr %p.size, align 1
  %bad.size = icmp ugt i64 %size, 4294967296
  %p.boxes = getelementptr i8, ptr %m, i64 96
  %p.box = getelementptr i32, ptr %p.boxes, i64 %d
  %box = load i32, ptr %p.box, align 1
  %box.less = sub i32 %box, 1
  %bad.span = icmp ugt i32 %box.less, 255
  %p.steps = getelementptr i8, ptr %m, i64 116
  %p.step = getelementptr i8, ptr %p.steps, i64 %d
  %step = load i8, ptr %p.step
  %step.less = sub i8 %step, 1
  %bad.step.0 = icmp ugt i8 %step.less, 7
  %is.outer = icmp ne i64 %d, 0
  %bad.step = and i1 %bad.step.0, %is.outer
  %bad.box.1 = or i1 %bad.box, %bad.span
  %bad.box.next = or i1 %bad.box.1, %bad.step
  %p.strides = getelementptr i8, ptr %m, i64 56
  %p.stride = getelementptr i64, ptr %p.strides, i64 %d
  %stride = load i64, ptr %p.stride, align 1
  %stride.rest = and i64 %stride, 15
  %stride.odd = icmp ne i64 %stride.rest, 0
  %stride.large = icmp uge i64 %stride, 1099511627776
  %bad.stride.0 = or i1 %stride.odd, %stride.large
  %bad.stride = and i1 %bad.stride.0, %is.outer
  %bad.place.1 = or i1 %bad.place, %bad.stride
  %bad.place.next = or i1 %bad.place.1, %bad.size
  %d.next = add i64 %d, 1
  %more = icmp ult i64 %d.next, %rank
  br i1 %more, label %dimension, label %judge

judge:
  %type = load i8, ptr %p.type
  %type.64 = zext i8 %type to i64
  %bytes = call i64 @tk_type_bytes(i8 %type)
  %no.type = icmp eq i64 %bytes, 0
  %storing = icmp ne i64 %is.store, 0
  %is.tf32 = icmp eq i8 %type, 11                 ; loads round to it
  %no.store = and i1 %storing, %is.tf32
  %bad.type = or i1 %no.type, %no.store
  %p.box.0 = getelementptr i8, ptr %m, i64 96
  %box.0 = load i32, ptr %p.box.0, align 1
  %box.64 = zext i32 %box.0 to i64
  %row = mul i64 %box.64, %bytes
  %row.rest = and i64 %row, 15
  %bad.row = icmp ne i64 %row.rest, 0
  %swizzle = load i8, ptr %p.swizzle
  %swizzle.64 = zext i8 %swizzle to i64
  %interleave = load i8, ptr %p.interleave
  %bad.swizzle.0 = icmp ugt i8 %swizzle, 3
  %interleaved = icmp ne i8 %interleave, 0
  %bad.swizzle = or i1 %bad.swizzle.0, %interleaved
  %swizzle.clipped = and i64 %swizzle.64, 3
  %span = shl i64 16, %swizzle.clipped
  %is.plain = icmp eq i8 %swizzle, 0
  %too.wide.0 = icmp ugt i64 %row, %span
  %too.narrow.0 = icmp ult i64 %row, %span
  %swizzles = xor i1 %is.plain, true
  %too.wide = and i1 %too.wide.0, %swizzles
  %too.narrow = and i1 %too.narrow.0, %swizzles
  %fill = load i8, ptr %p.fill
  %fill.unknown = icmp ugt i8 %fill, 1
  %type.low = and i64 %type.64, 63
  %is.float.0 = lshr i64 3776, %type.low          ; types 6, 7, 9, 10 and 11 as bits
  %is.float = trunc i64 %is.float.0 to i1
  %is.nan = icmp eq i8 %fill, 1
  %not.float = xor i1 %is.float, true
  %nan.of.integers = and i1 %is.nan, %not.float
  %bad.fill = or i1 %fill.unknown, %nan.of.integers
  %plain = icmp eq ptr %reduce, null
  br i1 %plain, label %verdict, label %ask

ask:
  %reduces = call i1 %reduce(ptr null, ptr null, i64 0, i64 %type.64)
  br label %verdict

verdict:
  %can = phi i1 [ true, %judge ], [ %reduces, %ask ]
  %r.12 = select i1 %can, i64 0, i64 12
  %r.11 = select i1 %bad.place.next, i64 11, i64 %r.12
  %r.10 = select i1 %bad.fill, i64 10, i64 %r.11
  %r.9 = select i1 %too.narrow, i64 9, i64 %r.10
  %r.8 = select i1 %too.wide, i64 8, i64 %r.9
  %r.7 = select i1 %bad.swizzle, i64 7, i64 %r.8
  %r.6 = select i1 %bad.row, i64 6, i64 %r.7
  %r.6b = select i1 %bad.box.next, i64 6, i64 %r.6
  %r.5 = select i1 %bad.type, i64 5, i64 %r.6b
  ret i64 %r.5

reason.1:
  ret i64 1

reason.2:
  ret i64 2

reason.3:
  ret i64 3

reason.4:
  ret i64 4
}

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
  br i1 %row.whole, label %row.at.once, label %chunk

row.at.once:
  %g.p = inttoptr i64 %g to ptr
  %s.p = inttoptr i64 %s to ptr
  %storing = icmp ne i64 %is.store, 0
  %source = select i1 %storing, ptr %s.p, ptr %g.p
  %target = select i1 %storing, ptr %g.p, ptr %s.p
  call void @llvm.memcpy.p0.p0.i64(ptr %target, ptr %source, i64 %row.bytes, i1 false)
  br label %row.end

chunk:
  %at = phi i64 [ 0, %row.copy ], [ %at.next, %chunk.end ]
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

; Whether 128 bytes for a tensor map lie at an address, in shared or in global memory; reports the lane if not.
define internal i1 @tk_map_room(ptr %ctx, i64 %number, i64 %map, i64 %is.shared, i64 %site) {
entry:
  %in.shared = icmp ne i64 %is.shared, 0
  br i1 %in.shared, label %shared, label %global

shared:
  %holds = call i1 @tk_in_shared(ptr %ctx, i64 %map, i64 128)
  %p.shared = getelementptr i8, ptr %ctx, i64 «shared»
  %base = load i64, ptr %p.shared
  br i1 %holds, label %there, label %outside

global:
  %interval = call ptr @tk_interval_of(ptr %ctx, i64 %map, i64 128)
  %known = icmp ne ptr %interval, null
  br i1 %known, label %found, label %outside

found:
  %low = load i64, ptr %interval
  br label %there

outside:
  call void @tk_lane_fault(ptr %ctx, i64 1, i64 %site, i64 %number, i64 %map, i64 128)
  ret i1 false

there:
  %start = phi i64 [ %base, %shared ], [ %low, %found ]
  %behind = sub i64 %map, %start
  %rest = and i64 %behind, 63
  %odd = icmp ne i64 %rest, 0
  br i1 %odd, label %misaligned, label %good

misaligned:
  call void @tk_lane_fault(ptr %ctx, i64 2, i64 %site, i64 %number, i64 %map, i64 64)
  ret i1 false

good:
  ret i1 true
}

; Writes a field of `size` bytes, and the magic. Rows of the table: address of the map, what to write.
define void @tk_map_field(ptr %ctx, i32 %lanes, ptr %table, i64 %offset, i64 %size, i64 %is.shared, i64 %site) {
entry:
  %empty = icmp eq i32 %lanes, 0
  br i1 %empty, label %end, label %lane

lane:
  %left = phi i32 [ %lanes, %entry ], [ %left.next, %lane.end ]
  %number32 = call i32 @llvm.cttz.i32(i32 %left, i1 true)
  %number = zext i32 %number32 to i64
  %p.map = getelementptr i64, ptr %table, i64 %number
  %p.value = getelementptr i64, ptr %p.map, i64 32
  %map = load i64, ptr %p.map
  %value = load i64, ptr %p.value
  %good = call i1 @tk_map_room(ptr %ctx, i64 %number, i64 %map, i64 %is.shared, i64 %site)
  br i1 %good, label %write, label %lane.end

write:
  %m = inttoptr i64 %map to ptr
  %p.magic = getelementptr i8, ptr %m, i64 8
  store i32 1802792308, ptr %p.magic, align 1     ; MAGIC
  %p.field = getelementptr i8, ptr %m, i64 %offset
  switch i64 %size, label %of.8 [
    i64 1, label %of.1
    i64 4, label %of.4
  ]

of.1:                                             ; what does not fit is no value of such a field either
  %clipped = call i64 @llvm.umin.i64(i64 %value, i64 255)
  %value.8 = trunc i64 %clipped to i8
  store i8 %value.8, ptr %p.field
  br label %lane.end

of.4:
  %value.32 = trunc i64 %value to i32
  store i32 %value.32, ptr %p.field, align 1
  br label %lane.end

of.8:
  store i64 %value, ptr %p.field, align 1
  br label %lane.end

lane.end:
  %minus = sub i32 %left, 1
  %left.next = and i32 %left, %minus
  %more = icmp ne i32 %left.next, 0
  br i1 %more, label %lane, label %end

end:
  ret void
}

; Copies a tensor map from shared to global memory, once for the warp. Rows of the table: where to, where from.
define void @tk_map_copy(ptr %ctx, i32 %lanes, ptr %table, i64 %site, i64 %site.shared) {
entry:
  %empty = icmp eq i32 %lanes, 0
  br i1 %empty, label %end, label %first

first:
  %number32 = call i32 @llvm.cttz.i32(i32 %lanes, i1 true)
  %number = zext i32 %number32 to i64
  %p.to = getelementptr i64, ptr %table, i64 %number
  %p.from = getelementptr i64, ptr %p.to, i64 32
  %to = load i64, ptr %p.to
  %from = load i64, ptr %p.from
  %to.good = call i1 @tk_map_room(ptr %ctx, i64 %number, i64 %to, i64 0, i64 %site)
  br i1 %to.good, label %look, label %end

look:
  %from.good = call i1 @tk_map_room(ptr %ctx, i64 %number, i64 %from, i64 1, i64 %site.shared)
  br i1 %from.good, label %copy, label %end

copy:
  %target = inttoptr i64 %to to ptr
  %source = inttoptr i64 %from to ptr
  call void @llvm.memcpy.p0.p0.i64(ptr %target, ptr %source, i64 128, i1 false)
  %counts = icmp sge i64 %site, 0
  br i1 %counts, label %trace, label %end

trace:
  %interval = call ptr @tk_interval_of(ptr %ctx, i64 %to, i64 128)
  %low = load i64, ptr %interval
  %misplaced = call i64 @tk_before_sector(i64 %low, i64 16)
  %placed = sub i64 %to, %misplaced
  call void @tk_reserve_more(ptr %ctx, i64 1)
  call void @tk_trace_run(ptr %ctx, i64 %placed, i64 128, i64 1)
  br label %end

end:
  ret void
}
