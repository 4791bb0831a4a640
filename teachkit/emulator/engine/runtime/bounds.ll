; Which lanes of an access may touch the memory they ask for. Kernels inline only the common case, 32 contiguous
; lanes in bounds, and call here for the rest.

; The lanes of `active` whose access of `size` bytes lies in [low, high) and is aligned; the others are
; reported. low = high = 0 means that the tensor is not known: any interval of the launch will do.
define internal i32 @tk_in_bounds(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, i64 %size) {
entry:
  %address = load <32 x i64>, ptr %addresses, align 8
  %unknown = icmp eq i64 %high, 0
  br i1 %unknown, label %search, label %known

known:                                            ; one comparison: what lies below is far above when taken from `low`
  %span = sub i64 %high, %low
  %room = sub i64 %span, %size
  %low.1 = insertelement <32 x i64> poison, i64 %low, i64 0
  %low.n = shufflevector <32 x i64> %low.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %room.1 = insertelement <32 x i64> poison, i64 %room, i64 0
  %room.n = shufflevector <32 x i64> %room.1, <32 x i64> poison, <32 x i32> zeroinitializer
  %at = sub <32 x i64> %address, %low.n
  %inside.known = icmp ule <32 x i64> %at, %room.n
  %inside.known.bits = bitcast <32 x i1> %inside.known to i32
  %big.enough = icmp uge i64 %span, %size
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
