; Accesses of which only the first lanes are on: the tail of a row. What they touch is a run of memory too, so that it
; is checked, counted and moved as one.

; Whether `n.bytes` (not 0) from `first` lie in [low, high) and are aligned to `size`. Not where low = high = 0, which
; stands for a tensor that is not known.
define internal i1 @tk_holds(i64 %low, i64 %high, i64 %first, i64 %n.bytes, i64 %size) {
  %span = sub i64 %high, %low
  %n.less = sub i64 %n.bytes, 1
  %room = call i64 @llvm.usub.sat.i64(i64 %span, i64 %n.less)
  %at = sub i64 %first, %low
  %inside = icmp ult i64 %at, %room
  %low.bits = sub i64 %size, 1
  %rest = and i64 %first, %low.bits
  %aligned = icmp eq i64 %rest, 0
  %holds = and i1 %inside, %aligned
  ret i1 %holds
}

; Whether `live` lanes are the first ones, or none.
define internal i1 @tk_are_first(i32 %live) {
  %next = add i32 %live, 1
  %others = and i32 %live, %next
  %are = icmp eq i32 %others, 0
  ret i1 %are
}

; Counts one global request of the first lanes, `stride` (at most 32) bytes apart from `first` on: they leave no sector
; out. `site` < 0: of none.
define internal void @tk_count_firsts(ptr %ctx, i64 %site, i32 %live, i64 %low, i64 %first, i64 %stride, i64 %size, i64 %store) {
entry:
  %silent = icmp slt i64 %site, 0
  %empty = icmp eq i32 %live, 0
  %skip = or i1 %silent, %empty
  br i1 %skip, label %end, label %count

count:
  %lanes32 = call i32 @llvm.ctpop.i32(i32 %live)
  %lanes = zext i32 %lanes32 to i64
  %misplaced = call i64 @tk_before_sector(i64 %low, i64 %size)
  %begin = sub i64 %first, %misplaced
  %gaps = sub i64 %lanes, 1
  %before.last = mul i64 %gaps, %stride
  %last = add i64 %begin, %before.last
  %sector = lshr i64 %begin, 5
  %last.sector = lshr i64 %last, 5
  %more = sub i64 %last.sector, %sector
  %sector.at = shl i64 %sector, 8
  %more.at = shl i64 %more, 1
  %record.0 = or i64 %sector.at, %more.at
  %record = or i64 %record.0, %store
  %p.cursor = getelementptr i8, ptr %ctx, i64 «trace_cursor»
  %cursor = load ptr, ptr %p.cursor
  store i64 %record, ptr %cursor
  %cursor.new = getelementptr i64, ptr %cursor, i64 1
  store ptr %cursor.new, ptr %p.cursor
  %n.sectors = add i64 %more, 1
  %spread = mul i64 %lanes, %stride
  %passes = call i64 @tk_passes(i64 %spread)
  %is.store = icmp ne i64 %store, 0
  %banks = select i1 %is.store, i64 0, i64 %passes
  call void @tk_add(ptr %ctx, i64 %site, i32 %live, i64 %n.sectors, i64 %banks)
  br label %end

end:
  ret void
}

; The same of a run of `n.bytes` (not 0) of shared memory, in which no two words want one bank.
define internal void @tk_count_firsts_in_shared(ptr %ctx, i64 %site, i32 %live, i64 %n.bytes) {
entry:
  %silent = icmp slt i64 %site, 0
  br i1 %silent, label %end, label %count

count:
  %passes = call i64 @tk_passes(i64 %n.bytes)
  call void @tk_add(ptr %ctx, i64 %site, i32 %live, i64 %passes, i64 0)
  br label %end

end:
  ret void
}

; Wavefronts of lanes that are spread over `n.bytes`: all banks together pass 128.
define internal i64 @tk_passes(i64 %n.bytes) {
  %up = add i64 %n.bytes, 127
  %passes = lshr i64 %up, 7
  ret i64 %passes
}

; Does one access whose first lanes touch one run, or that one lane makes, and says whether it was one; if not, nothing
; was done.
define internal i1 @tk_firsts_of_run(ptr %ctx, i32 %active, i64 %what, i64 %low, i64 %high, i64 %first, i64 %stride, ptr %packed, i64 %store, i1 %is.shared) alwaysinline {
entry:
  %size = call i64 @tk_size(i64 %what)
  %how = call i64 @tk_how(i64 %what)
  %kind = and i64 %how, 6
  %by.stride = icmp eq i64 %kind, 2               ; in 32 bits too: what lies inside did not start anew
  %dense = icmp eq i64 %stride, %size
  %are.first = call i1 @tk_are_first(i32 %active)
  %ok.1 = and i1 %by.stride, %dense
  %ok = and i1 %ok.1, %are.first
  br i1 %ok, label %run, label %other

other:
  %n.lanes = call i32 @llvm.ctpop.i32(i32 %active)
  switch i32 %n.lanes, label %no [ i32 0, label %yes
                                   i32 1, label %one ]

yes:
  ret i1 true

one:
  %done.one = call i1 @tk_do_one(ptr %ctx, i32 %active, i64 %what, i64 %low, i64 %high, i64 %first, i64 %stride, ptr %packed, i64 %store, i1 %is.shared)
  ret i1 %done.one

run:
  %done = call i1 @tk_do_run(ptr %ctx, i32 %active, i64 %what, i64 %low, i64 %high, i64 %first, ptr %packed, i64 %store, i1 %is.shared)
  ret i1 %done

no:
  ret i1 false
}

; Does an access of the only lane that is on.
define internal i1 @tk_do_one(ptr %ctx, i32 %active, i64 %what, i64 %low, i64 %high, i64 %first, i64 %stride, ptr %packed, i64 %store, i1 %is.shared) noinline {
  %size = call i64 @tk_size(i64 %what)
  %lane32 = call i32 @llvm.cttz.i32(i32 %active, i1 true)
  %lane = zext i32 %lane32 to i64
  %own = call i64 @tk_address_of_lane(ptr %ctx, i64 %what, i64 %low, i64 %first, i64 %stride, i64 %lane)
  %own.at = mul i64 %lane, %size
  %own.packed = getelementptr i8, ptr %packed, i64 %own.at
  %done = call i1 @tk_do_run(ptr %ctx, i32 1, i64 %what, i64 %low, i64 %high, i64 %own, ptr %own.packed, i64 %store, i1 %is.shared)
  ret i1 %done
}

; The address that `tk_spread` would write for one lane.
define internal i64 @tk_address_of_lane(ptr %ctx, i64 %what, i64 %low, i64 %first, i64 %stride, i64 %lane) {
entry:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  %how = call i64 @tk_how(i64 %what)
  switch i64 %how, label %each [
    i64 1, label %offset
    i64 2, label %by.stride
    i64 3, label %by.stride.in.32.bits
    i64 4, label %indexed
    i64 5, label %indexed
  ]

each:
  %p.each = getelementptr i64, ptr %addresses, i64 %lane
  %given = load i64, ptr %p.each
  ret i64 %given

offset:
  %p.offset = getelementptr i32, ptr %addresses, i64 %lane
  %given.offset = load i32, ptr %p.offset
  br label %widen

by.stride:
  %step = mul i64 %stride, %lane
  %behind = add i64 %first, %step
  ret i64 %behind

by.stride.in.32.bits:
  %step.n = mul i64 %stride, %lane
  %from.low = sub i64 %first, %low
  %behind.n = add i64 %from.low, %step.n
  %around = trunc i64 %behind.n to i32
  br label %widen

widen:
  %short = phi i32 [ %given.offset, %offset ], [ %around, %by.stride.in.32.bits ]
  %wide = zext i32 %short to i64
  %inside = add i64 %low, %wide
  ret i64 %inside

indexed:
  %p.index = getelementptr i32, ptr %addresses, i64 %lane
  %index = load i32, ptr %p.index
  %is.signed = icmp eq i64 %how, 4                ; How.INDEXED
  %index.s = sext i32 %index to i64
  %index.u = zext i32 %index to i64
  %index.wide = select i1 %is.signed, i64 %index.s, i64 %index.u
  %scale = trunc i64 %stride to i32
  %scale.s = sext i32 %scale to i64
  %scale.u = zext i32 %scale to i64
  %scale.wide = select i1 %is.signed, i64 %scale.s, i64 %scale.u
  %scaled = mul i64 %index.wide, %scale.wide
  %from.base = add i64 %first, %scaled
  ret i64 %from.base
}

; Does an access of the first lanes that go through memory side by side from `first` on, where they may.
define internal i1 @tk_do_run(ptr %ctx, i32 %active, i64 %what, i64 %low, i64 %high, i64 %first, ptr %packed, i64 %store, i1 %is.shared) alwaysinline {
entry:
  %site = call i64 @tk_site(i64 %what)
  %size = call i64 @tk_size(i64 %what)
  %lanes32 = call i32 @llvm.ctpop.i32(i32 %active)
  %lanes = zext i32 %lanes32 to i64
  %n.bytes = mul i64 %lanes, %size
  %empty = icmp eq i32 %active, 0
  br i1 %empty, label %yes, label %check

check:
  %holds = call i1 @tk_holds(i64 %low, i64 %high, i64 %first, i64 %n.bytes, i64 %size)
  br i1 %holds, label %do, label %no

do:
  br i1 %is.shared, label %count.shared, label %count.global

count.shared:
  call void @tk_count_firsts_in_shared(ptr %ctx, i64 %site, i32 %active, i64 %n.bytes)
  br label %move

count.global:
  call void @tk_count_firsts(ptr %ctx, i64 %site, i32 %active, i64 %low, i64 %first, i64 %size, i64 %size, i64 %store)
  br label %move

move:
  %memory = inttoptr i64 %first to ptr
  %is.store = icmp ne i64 %store, 0
  %from = select i1 %is.store, ptr %packed, ptr %memory
  %to = select i1 %is.store, ptr %memory, ptr %packed
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %n.bytes, i1 false)
  br label %yes

yes:
  ret i1 true

no:
  ret i1 false
}

; Neighbouring elements: `n` accesses of a thread, whose first addresses and lanes stand in the context and whose data
; lie in the staging buffer, as they do in memory. `what` is that of the first access. `shape`: n, from bit 8 on the
; bytes from lane to lane, from bit 16 on the number from site to site.
define preserve_allcc void @tk_apart_load_group(ptr %ctx, i64 %what, i64 %shape) #0 {
  %n = and i64 %shape, 255
  %packed = call ptr @tk_room(ptr %ctx, i64 %what, i64 %n)
  call void @tk_group(ptr %ctx, i64 %what, i64 %shape, ptr %packed, i64 0)
  ret void
}

define preserve_allcc void @tk_apart_store_group(ptr %ctx, i64 %what, i64 %shape) #0 {
  %packed = call ptr @tk_packed(ptr %ctx)
  call void @tk_group(ptr %ctx, i64 %what, i64 %shape, ptr %packed, i64 1)
  ret void
}

define internal void @tk_group(ptr %ctx, i64 %what, i64 %shape, ptr %packed, i64 %store) {
entry:
  %n = and i64 %shape, 255
  %stride.up = lshr i64 %shape, 8
  %stride = and i64 %stride.up, 255
  %step = lshr i64 %shape, 16
  %size = call i64 @tk_size(i64 %what)
  %is.store = icmp ne i64 %store, 0
  %interval = call ptr @tk_interval(ptr %ctx, i64 %what)
  %p.high = getelementptr i64, ptr %interval, i64 1
  %low = load i64, ptr %interval
  %high = load i64, ptr %p.high
  %p.firsts = getelementptr i8, ptr %ctx, i64 «group_firsts»
  %p.lanes = getelementptr i8, ptr %ctx, i64 «group_lanes»
  %first = load i64, ptr %p.firsts
  %live = load i32, ptr %p.lanes
  %most = call i32 @llvm.ctpop.i32(i32 %live)
  br label %look

look:                                             ; is what is on the first part of the run, element by element?
  %i = phi i64 [ 0, %entry ], [ %i.next, %look ]
  %expected = phi i64 [ %first, %entry ], [ %expected.next, %look ]
  %lanes.before = phi i32 [ %most, %entry ], [ %lanes, %look ]
  %total = phi i32 [ 0, %entry ], [ %total.next, %look ]
  %fine = phi i1 [ true, %entry ], [ %fine.next, %look ]
  %p.i.first = getelementptr i64, ptr %p.firsts, i64 %i
  %p.i.lanes = getelementptr i64, ptr %p.lanes, i64 %i
  %i.first = load i64, ptr %p.i.first
  %i.lanes = load i32, ptr %p.i.lanes
  %lanes = call i32 @llvm.ctpop.i32(i32 %i.lanes)
  %are.first = call i1 @tk_are_first(i32 %i.lanes)
  %beside = icmp eq i64 %i.first, %expected
  %not.more = icmp ule i32 %lanes, %lanes.before
  %least = sub i32 %most, 1
  %not.less = icmp sge i32 %lanes, %least
  %fine.1 = and i1 %fine, %are.first
  %fine.2 = and i1 %fine.1, %beside
  %fine.3 = and i1 %fine.2, %not.more
  %fine.next = and i1 %fine.3, %not.less
  %total.next = add i32 %total, %lanes
  %expected.next = add i64 %expected, %size
  %i.next = add i64 %i, 1
  %looking = icmp ult i64 %i.next, %n
  br i1 %looking, label %look, label %looked

looked:
  br i1 %fine.next, label %is.first, label %one.by.one

is.first:
  %none = icmp eq i32 %total.next, 0
  br i1 %none, label %end, label %check

check:
  %total64 = zext i32 %total.next to i64
  %n.bytes = mul i64 %total64, %size
  %holds = call i1 @tk_holds(i64 %low, i64 %high, i64 %first, i64 %n.bytes, i64 %size)
  br i1 %holds, label %move, label %one.by.one

move:
  %memory = inttoptr i64 %first to ptr
  %from = select i1 %is.store, ptr %packed, ptr %memory
  %to = select i1 %is.store, ptr %memory, ptr %packed
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %n.bytes, i1 false)
  br label %count

count:
  %c = phi i64 [ 0, %move ], [ %c.next, %count ]
  %c.what = phi i64 [ %what, %move ], [ %c.what.next, %count ]
  %c.first = phi i64 [ %first, %move ], [ %c.first.next, %count ]
  %p.c.lanes = getelementptr i64, ptr %p.lanes, i64 %c
  %c.lanes = load i32, ptr %p.c.lanes
  %c.site = call i64 @tk_site(i64 %c.what)
  call void @tk_count_firsts(ptr %ctx, i64 %c.site, i32 %c.lanes, i64 %low, i64 %c.first, i64 %stride, i64 %size, i64 %store)
  %c.what.next = add i64 %c.what, %step
  %c.first.next = add i64 %c.first, %size
  %c.next = add i64 %c, 1
  %counting = icmp ult i64 %c.next, %n
  br i1 %counting, label %count, label %end

one.by.one:
  %addresses = call ptr @tk_addresses(ptr %ctx)
  %row = getelementptr i64, ptr %addresses, i64 32 ; of one access: elements of up to 8 bytes
  br label %access

access:
  %a = phi i64 [ 0, %one.by.one ], [ %a.next, %accessed ]
  %a.what = phi i64 [ %what, %one.by.one ], [ %a.what.next, %accessed ]
  %a.packed = phi ptr [ %packed, %one.by.one ], [ %a.packed.next, %accessed ]
  %p.a.first = getelementptr i64, ptr %p.firsts, i64 %a
  %p.a.lanes = getelementptr i64, ptr %p.lanes, i64 %a
  %a.first = load i64, ptr %p.a.first
  %a.lanes = load i32, ptr %p.a.lanes
  %a.site = call i64 @tk_site(i64 %a.what)
  call void @tk_spread(ptr %addresses, i64 144115188075855872, i64 0, i64 %a.first, i64 %stride) ; How.BY_STRIDE
  call void @tk_move_row(ptr %a.packed, i64 %stride, ptr %row, i64 %size, i64 %size)
  br i1 %is.store, label %store.it, label %load.it

store.it:
  call void @tk_store_global(ptr %ctx, ptr %addresses, i32 %a.lanes, i64 %low, i64 %high, i64 %a.site, i64 %size, ptr %row)
  br label %accessed

load.it:
  call void @tk_load_global(ptr %ctx, ptr %addresses, i32 %a.lanes, i64 %low, i64 %high, i64 %a.site, i64 %size, ptr %row)
  call void @tk_move_row(ptr %row, i64 %size, ptr %a.packed, i64 %stride, i64 %size)
  br label %accessed

accessed:
  %a.what.next = add i64 %a.what, %step
  %a.packed.next = getelementptr i8, ptr %a.packed, i64 %size
  %a.next = add i64 %a, 1
  %accessing = icmp ult i64 %a.next, %n
  br i1 %accessing, label %access, label %end

end:
  ret void
}

; Moves an element of `size` (2, 4 or 8) bytes of each lane to other distances from lane to lane.
define internal void @tk_move_row(ptr %from, i64 %from.step, ptr %to, i64 %to.step, i64 %size) {
entry:
  switch i64 %size, label %eight [
    i64 2, label %two
    i64 4, label %four
  ]

two:
  %i.2 = phi i64 [ 0, %entry ], [ %i.2.next, %two ]
  %from.2 = phi ptr [ %from, %entry ], [ %from.2.next, %two ]
  %to.2 = phi ptr [ %to, %entry ], [ %to.2.next, %two ]
  %v.2 = load i16, ptr %from.2, align 2
  store i16 %v.2, ptr %to.2, align 2
  %from.2.next = getelementptr i8, ptr %from.2, i64 %from.step
  %to.2.next = getelementptr i8, ptr %to.2, i64 %to.step
  %i.2.next = add i64 %i.2, 1
  %more.2 = icmp ult i64 %i.2.next, 32
  br i1 %more.2, label %two, label %end

four:
  %i.4 = phi i64 [ 0, %entry ], [ %i.4.next, %four ]
  %from.4 = phi ptr [ %from, %entry ], [ %from.4.next, %four ]
  %to.4 = phi ptr [ %to, %entry ], [ %to.4.next, %four ]
  %v.4 = load i32, ptr %from.4, align 4
  store i32 %v.4, ptr %to.4, align 4
  %from.4.next = getelementptr i8, ptr %from.4, i64 %from.step
  %to.4.next = getelementptr i8, ptr %to.4, i64 %to.step
  %i.4.next = add i64 %i.4, 1
  %more.4 = icmp ult i64 %i.4.next, 32
  br i1 %more.4, label %four, label %end

eight:
  %i.8 = phi i64 [ 0, %entry ], [ %i.8.next, %eight ]
  %from.8 = phi ptr [ %from, %entry ], [ %from.8.next, %eight ]
  %to.8 = phi ptr [ %to, %entry ], [ %to.8.next, %eight ]
  %v.8 = load i64, ptr %from.8, align 8
  store i64 %v.8, ptr %to.8, align 8
  %from.8.next = getelementptr i8, ptr %from.8, i64 %from.step
  %to.8.next = getelementptr i8, ptr %to.8, i64 %to.step
  %i.8.next = add i64 %i.8, 1
  %more.8 = icmp ult i64 %i.8.next, 32
  br i1 %more.8, label %eight, label %end

end:
  ret void
}
