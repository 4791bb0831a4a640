; Four elements of 32 bits a lane: side by side lane by lane, as memory has them, or 32 lanes of each element one after
; another, as registers have them. 8 lanes at a time, in steps that AVX2 has as instructions. Each may be two elements
; of 16 bits, so that memory is a multiple of 2 bytes and no more.

define preserve_mostcc void @tk_deal(ptr %memory, ptr %values) #0 {
entry:
  br label %part

part:
  %i = phi i64 [ 0, %entry ], [ %i.next, %part ]
  %from = getelementptr [32 x i32], ptr %memory, i64 %i
  %to = getelementptr [8 x i32], ptr %values, i64 %i
  %p.b = getelementptr i8, ptr %from, i64 32
  %p.c = getelementptr i8, ptr %from, i64 64
  %p.d = getelementptr i8, ptr %from, i64 96
  %a = load <8 x i32>, ptr %from, align 2
  %b = load <8 x i32>, ptr %p.b, align 2
  %c = load <8 x i32>, ptr %p.c, align 2
  %d = load <8 x i32>, ptr %p.d, align 2
  %p = shufflevector <8 x i32> %a, <8 x i32> %c, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 8, i32 9, i32 10, i32 11>  ; lanes 0 and 4 of these 8
  %q = shufflevector <8 x i32> %a, <8 x i32> %c, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 12, i32 13, i32 14, i32 15>  ; 1 and 5
  %r = shufflevector <8 x i32> %b, <8 x i32> %d, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 8, i32 9, i32 10, i32 11>  ; 2 and 6
  %s = shufflevector <8 x i32> %b, <8 x i32> %d, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 12, i32 13, i32 14, i32 15>  ; 3 and 7
  %u = shufflevector <8 x i32> %p, <8 x i32> %q, <8 x i32> <i32 0, i32 8, i32 1, i32 9, i32 4, i32 12, i32 5, i32 13>
  %v = shufflevector <8 x i32> %r, <8 x i32> %s, <8 x i32> <i32 0, i32 8, i32 1, i32 9, i32 4, i32 12, i32 5, i32 13>
  %w = shufflevector <8 x i32> %p, <8 x i32> %q, <8 x i32> <i32 2, i32 10, i32 3, i32 11, i32 6, i32 14, i32 7, i32 15>
  %x = shufflevector <8 x i32> %r, <8 x i32> %s, <8 x i32> <i32 2, i32 10, i32 3, i32 11, i32 6, i32 14, i32 7, i32 15>
  %first = shufflevector <8 x i32> %u, <8 x i32> %v, <8 x i32> <i32 0, i32 1, i32 8, i32 9, i32 4, i32 5, i32 12, i32 13>
  %second = shufflevector <8 x i32> %u, <8 x i32> %v, <8 x i32> <i32 2, i32 3, i32 10, i32 11, i32 6, i32 7, i32 14, i32 15>
  %third = shufflevector <8 x i32> %w, <8 x i32> %x, <8 x i32> <i32 0, i32 1, i32 8, i32 9, i32 4, i32 5, i32 12, i32 13>
  %fourth = shufflevector <8 x i32> %w, <8 x i32> %x, <8 x i32> <i32 2, i32 3, i32 10, i32 11, i32 6, i32 7, i32 14, i32 15>
  store <8 x i32> %first, ptr %to, align 16
  %to.second = getelementptr i8, ptr %to, i64 128
  store <8 x i32> %second, ptr %to.second, align 16
  %to.third = getelementptr i8, ptr %to, i64 256
  store <8 x i32> %third, ptr %to.third, align 16
  %to.fourth = getelementptr i8, ptr %to, i64 384
  store <8 x i32> %fourth, ptr %to.fourth, align 16
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, 4
  br i1 %more, label %part, label %end

end:
  ret void
}

define preserve_mostcc void @tk_interleave(ptr %memory, ptr %values) #0 {
entry:
  br label %part

part:
  %i = phi i64 [ 0, %entry ], [ %i.next, %part ]
  %to = getelementptr [32 x i32], ptr %memory, i64 %i
  %from = getelementptr [8 x i32], ptr %values, i64 %i
  %a = load <8 x i32>, ptr %from, align 16
  %from.b = getelementptr i8, ptr %from, i64 128
  %b = load <8 x i32>, ptr %from.b, align 16
  %from.c = getelementptr i8, ptr %from, i64 256
  %c = load <8 x i32>, ptr %from.c, align 16
  %from.d = getelementptr i8, ptr %from, i64 384
  %d = load <8 x i32>, ptr %from.d, align 16
  %p = shufflevector <8 x i32> %a, <8 x i32> %b, <8 x i32> <i32 0, i32 8, i32 1, i32 9, i32 4, i32 12, i32 5, i32 13>
  %q = shufflevector <8 x i32> %c, <8 x i32> %d, <8 x i32> <i32 0, i32 8, i32 1, i32 9, i32 4, i32 12, i32 5, i32 13>
  %r = shufflevector <8 x i32> %a, <8 x i32> %b, <8 x i32> <i32 2, i32 10, i32 3, i32 11, i32 6, i32 14, i32 7, i32 15>
  %s = shufflevector <8 x i32> %c, <8 x i32> %d, <8 x i32> <i32 2, i32 10, i32 3, i32 11, i32 6, i32 14, i32 7, i32 15>
  %u = shufflevector <8 x i32> %p, <8 x i32> %q, <8 x i32> <i32 0, i32 1, i32 8, i32 9, i32 4, i32 5, i32 12, i32 13>
  %v = shufflevector <8 x i32> %p, <8 x i32> %q, <8 x i32> <i32 2, i32 3, i32 10, i32 11, i32 6, i32 7, i32 14, i32 15>
  %w = shufflevector <8 x i32> %r, <8 x i32> %s, <8 x i32> <i32 0, i32 1, i32 8, i32 9, i32 4, i32 5, i32 12, i32 13>
  %x = shufflevector <8 x i32> %r, <8 x i32> %s, <8 x i32> <i32 2, i32 3, i32 10, i32 11, i32 6, i32 7, i32 14, i32 15>
  %first = shufflevector <8 x i32> %u, <8 x i32> %v, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 8, i32 9, i32 10, i32 11>
  %second = shufflevector <8 x i32> %w, <8 x i32> %x, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 8, i32 9, i32 10, i32 11>
  %third = shufflevector <8 x i32> %u, <8 x i32> %v, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 12, i32 13, i32 14, i32 15>
  %fourth = shufflevector <8 x i32> %w, <8 x i32> %x, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 12, i32 13, i32 14, i32 15>
  store <8 x i32> %first, ptr %to, align 2
  %to.second = getelementptr i8, ptr %to, i64 32
  store <8 x i32> %second, ptr %to.second, align 2
  %to.third = getelementptr i8, ptr %to, i64 64
  store <8 x i32> %third, ptr %to.third, align 2
  %to.fourth = getelementptr i8, ptr %to, i64 96
  store <8 x i32> %fourth, ptr %to.fourth, align 2
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, 4
  br i1 %more, label %part, label %end

end:
  ret void
}
