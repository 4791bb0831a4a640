; Tensor maps, whose layout is that of tensor_map.py: whether a copy can use one, and those that kernels make.

; Bytes of an element of each type, 0 where it is not emulated:
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
