declare i32 @memcmp(ptr, ptr, i64)

; Lanes of a warp that wait for each other. Lanes run in step, the earliest block first, so a lane that goes round a
; loop for a lock keeps back the one that holds it, which is already behind the loop. When a warp goes round in vain
; and others of its lanes are elsewhere, those in the loop are parked: their mask is kept aside, and the rest go on from
; wherever they are. Parked lanes come back when the rest have left, wait at a barrier, or go round in vain as well.
; Lanes at a barrier are held until the others are there too. A frame has masks by block for the lanes that run, that
; are parked, and that are held.
;
; Called with what a warp returned, gives what the scheduler is to make of it. An entry of `waits` is 0 where the loop at
; a place cannot wait for anything, else the number of its header plus 1, with bit 30 where the loop stores nothing:
; there a turn that leaves the frame as it was has been in vain. Elsewhere 64 times in a row count as much.
define internal i32 @tk_park(ptr %ctx, ptr %frame, i64 %warp, i32 %status) {
entry:
  %p.masks.at = getelementptr i8, ptr %ctx, i64 «masks_at»
  %masks.at = load i64, ptr %p.masks.at
  %p.n = getelementptr i8, ptr %ctx, i64 «n_masks»
  %n = load i64, ptr %p.n
  %masks = getelementptr i8, ptr %frame, i64 %masks.at
  %parked = getelementptr i32, ptr %masks, i64 %n
  %held = getelementptr i32, ptr %parked, i64 %n
  %p.parked = getelementptr i8, ptr %frame, i64 16
  %p.held = getelementptr i8, ptr %frame, i64 20
  %p.scan = getelementptr i8, ptr %ctx, i64 «scan»
  %scan64 = load i64, ptr %p.scan
  %scan = trunc i64 %scan64 to i32
  %some.parked = load i32, ptr %p.parked
  %some.held = load i32, ptr %p.held
  %none.parked = icmp eq i32 %some.parked, 0
  %none.held = icmp eq i32 %some.held, 0
  %p.held.at = getelementptr i8, ptr %frame, i64 36
  %p.held.number = getelementptr i8, ptr %frame, i64 40
  %p.held.size = getelementptr i8, ptr %frame, i64 44
  %p.number = getelementptr i8, ptr %frame, i64 8
  %p.size = getelementptr i8, ptr %frame, i64 12
  %place = load i32, ptr %frame
  switch i32 %status, label %yielded [ i32 0, label %exited
                                       i32 1, label %barrier
                                       i32 3, label %together ]

exited:                                           ; whose masks in the frame are those from before
  %alone = and i1 %none.parked, %none.held
  br i1 %alone, label %done, label %forget

forget:
  %n.bytes = shl i64 %n, 2
  call void @llvm.memset.p0.i64(ptr %masks, i8 0, i64 %n.bytes, i1 false)
  br i1 %none.parked, label %wait, label %bring.back

wait:                                             ; nobody is left that the held lanes could wait for
  call void @tk_move_masks(ptr %held, ptr %masks, i64 %n)
  store i32 0, ptr %p.held
  %held.at = load i32, ptr %p.held.at
  store i32 %held.at, ptr %frame
  %held.number = load i32, ptr %p.held.number
  store i32 %held.number, ptr %p.number
  %held.size = load i32, ptr %p.held.size
  store i32 %held.size, ptr %p.size
  ret i32 1

bring.back:
  call void @tk_move_masks(ptr %parked, ptr %masks, i64 %n)
  store i32 0, ptr %p.parked
  store i32 %scan, ptr %frame
  ret i32 2

barrier:
  br i1 %none.parked, label %barrier.all, label %hold

hold:
  store i32 %place, ptr %p.held.at
  %number = load i32, ptr %p.number
  store i32 %number, ptr %p.held.number
  %size = load i32, ptr %p.size
  store i32 %size, ptr %p.held.size
  %lanes.here = call i32 @tk_any_mask(ptr %masks, i64 %n)
  %held.now = or i32 %some.held, %lanes.here
  store i32 %held.now, ptr %p.held
  call void @tk_move_masks(ptr %masks, ptr %held, i64 %n)
  br label %bring.back

barrier.all:
  br i1 %none.held, label %done, label %barrier.join

barrier.join:                                     ; lanes that wait at two places go on from both
  call void @tk_move_masks(ptr %held, ptr %masks, i64 %n)
  store i32 0, ptr %p.held
  %held.place = load i32, ptr %p.held.at
  %same = icmp eq i32 %held.place, %place
  %from = select i1 %same, i32 %place, i32 %scan
  store i32 %from, ptr %frame
  ret i32 1

together:                                         ; lanes that need parked ones let them run, and are parked meanwhile
  %parked.before = call i32 @tk_any_mask(ptr %masks, i64 %n)
  call void @tk_swap_masks(ptr %masks, ptr %parked, i64 %n)
  store i32 %parked.before, ptr %p.parked
  store i32 %scan, ptr %frame
  ret i32 2

yielded:
  %p.waits = getelementptr i8, ptr %ctx, i64 «waits»
  %waits = load ptr, ptr %p.waits
  %place64 = zext i32 %place to i64
  %p.entry = getelementptr i32, ptr %waits, i64 %place64
  %entry.bits = load i32, ptr %p.entry
  %can.wait = icmp ne i32 %entry.bits, 0
  br i1 %can.wait, label %look, label %done

look:
  %header.1 = and i32 %entry.bits, 1073741823
  %header32 = sub i32 %header.1, 1
  %header = zext i32 %header32 to i64
  %p.mine = getelementptr i32, ptr %masks, i64 %header
  %mine = load i32, ptr %p.mine
  %all = call i32 @tk_any_mask(ptr %masks, i64 %n)
  %not.mine = xor i32 %mine, -1
  %others = and i32 %all, %not.mine
  %none.other = icmp eq i32 %others, 0
  %nobody = and i1 %none.other, %none.parked
  br i1 %nobody, label %done, label %compare

compare:
  %p.copies = getelementptr i8, ptr %ctx, i64 «copies»
  %copies = load ptr, ptr %p.copies
  %p.frame.bytes = getelementptr i8, ptr %ctx, i64 «frame_bytes»
  %frame.bytes = load i64, ptr %p.frame.bytes
  %copy.at = mul i64 %warp, %frame.bytes
  %copy = getelementptr i8, ptr %copies, i64 %copy.at
  %p.yielded = getelementptr i8, ptr %frame, i64 28
  %before = load i32, ptr %p.yielded
  %same.place = icmp eq i32 %before, %place
  store i32 %place, ptr %p.yielded
  %p.patience = getelementptr i8, ptr %frame, i64 24
  %patience.0 = load i32, ptr %p.patience
  %patience.1 = add i32 %patience.0, 1
  %patience = select i1 %same.place, i32 %patience.1, i32 0
  store i32 %patience, ptr %p.patience
  %rest = sub i64 %frame.bytes, 64
  %registers = getelementptr i8, ptr %frame, i64 64
  %registers.copy = getelementptr i8, ptr %copy, i64 64
  %difference = call i32 @memcmp(ptr %registers, ptr %registers.copy, i64 %rest)
  %equal = icmp eq i32 %difference, 0
  %unchanged = and i1 %equal, %same.place
  %idle.bit = and i32 %entry.bits, 1073741824
  %is.idle = icmp ne i32 %idle.bit, 0
  %in.vain.0 = and i1 %unchanged, %is.idle
  %is.long = icmp uge i32 %patience, 64
  %in.vain = or i1 %in.vain.0, %is.long
  br i1 %in.vain, label %in.vain.at.last, label %keep

keep:
  call void @llvm.memcpy.p0.p0.i64(ptr %registers.copy, ptr %registers, i64 %rest, i1 false)
  ret i32 2

in.vain.at.last:
  store i64 0, ptr %p.patience                    ; and the place
  %p.parked.at = getelementptr i8, ptr %frame, i64 32
  store i32 %place, ptr %p.parked.at
  %p.turns = getelementptr i8, ptr %ctx, i64 «turns»
  store i64 32, ptr %p.turns                      ; residents._PARKED_TURNS
  br i1 %none.other, label %bring.back, label %park

park:
  %p.aside = getelementptr i32, ptr %parked, i64 %header
  %aside = load i32, ptr %p.aside
  %aside.now = or i32 %aside, %mine
  store i32 %aside.now, ptr %p.aside
  store i32 0, ptr %p.mine
  %parked.now = or i32 %some.parked, %mine
  store i32 %parked.now, ptr %p.parked
  store i32 %scan, ptr %frame
  ret i32 2

done:
  ret i32 %status
}

; Adds the masks of `from` to those of `to`, and clears them.
define internal void @tk_move_masks(ptr %from, ptr %to, i64 %n) {
entry:
  br label %next

next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %p.from = getelementptr i32, ptr %from, i64 %i
  %p.to = getelementptr i32, ptr %to, i64 %i
  %a = load i32, ptr %p.from
  %b = load i32, ptr %p.to
  %both = or i32 %a, %b
  store i32 %both, ptr %p.to
  store i32 0, ptr %p.from
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %n
  br i1 %more, label %next, label %end

end:
  ret void
}

define internal void @tk_swap_masks(ptr %one, ptr %two, i64 %n) {
entry:
  br label %next

next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %p.one = getelementptr i32, ptr %one, i64 %i
  %p.two = getelementptr i32, ptr %two, i64 %i
  %a = load i32, ptr %p.one
  %b = load i32, ptr %p.two
  store i32 %b, ptr %p.one
  store i32 %a, ptr %p.two
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %n
  br i1 %more, label %next, label %end

end:
  ret void
}

; The lanes in any of n masks.
define internal i32 @tk_any_mask(ptr %masks, i64 %n) {
entry:
  br label %next

next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %all = phi i32 [ 0, %entry ], [ %all.next, %next ]
  %p = getelementptr i32, ptr %masks, i64 %i
  %one = load i32, ptr %p
  %all.next = or i32 %all, %one
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %n
  br i1 %more, label %next, label %end

end:
  ret i32 %all.next
}
