; Bulk copies between global and shared memory, of runs of bytes and of boxes of tensors. Every lane that is on copies
; by itself, from a table with a row of 32 numbers of 64 bits for each of its operands. `site`: where it is counted,
; its complement where nothing is; `site.shared` likewise for faults in shared memory. `reduce`: null, or a function
; that combines elements instead of storing them. `check`: null, or the monitor's.

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
