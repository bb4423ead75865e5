#include "textflag.h"

// func cpuid(leaf, sub uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL sub+4(FP), CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET

// func xgetbv() (low uint32)
TEXT ·xgetbv(SB), NOSPLIT, $0-4
	XORL CX, CX
	XGETBV
	MOVL AX, low+0(FP)
	RET

// The tile: row r of c is in Y(2r) and Y(2r+1), a row of b in Y12 and Y13. SI and DI are at a's rows 0 and 3, R8 floats apart, DX and CX at c's, R11 apart.

#define LOAD1 VMOVUPS (DX), Y0; VMOVUPS 32(DX), Y1
#define LOAD2 LOAD1; VMOVUPS (DX)(R11*1), Y2; VMOVUPS 32(DX)(R11*1), Y3
#define LOAD3 LOAD2; VMOVUPS (DX)(R11*2), Y4; VMOVUPS 32(DX)(R11*2), Y5
#define LOAD4 LOAD3; VMOVUPS (CX), Y6; VMOVUPS 32(CX), Y7
#define LOAD5 LOAD4; VMOVUPS (CX)(R11*1), Y8; VMOVUPS 32(CX)(R11*1), Y9
#define LOAD6 LOAD5; VMOVUPS (CX)(R11*2), Y10; VMOVUPS 32(CX)(R11*2), Y11

#define STORE1 VMOVUPS Y0, (DX); VMOVUPS Y1, 32(DX)
#define STORE2 STORE1; VMOVUPS Y2, (DX)(R11*1); VMOVUPS Y3, 32(DX)(R11*1)
#define STORE3 STORE2; VMOVUPS Y4, (DX)(R11*2); VMOVUPS Y5, 32(DX)(R11*2)
#define STORE4 STORE3; VMOVUPS Y6, (CX); VMOVUPS Y7, 32(CX)
#define STORE5 STORE4; VMOVUPS Y8, (CX)(R11*1); VMOVUPS Y9, 32(CX)(R11*1)
#define STORE6 STORE5; VMOVUPS Y10, (CX)(R11*2); VMOVUPS Y11, 32(CX)(R11*2)

#define FMA1 VBROADCASTSS (SI), Y14; VFMADD231PS Y12, Y14, Y0; VFMADD231PS Y13, Y14, Y1
#define FMA2 FMA1; VBROADCASTSS (SI)(R8*1), Y15; VFMADD231PS Y12, Y15, Y2; VFMADD231PS Y13, Y15, Y3
#define FMA3 FMA2; VBROADCASTSS (SI)(R8*2), Y14; VFMADD231PS Y12, Y14, Y4; VFMADD231PS Y13, Y14, Y5
#define FMA4 FMA3; VBROADCASTSS (DI), Y15; VFMADD231PS Y12, Y15, Y6; VFMADD231PS Y13, Y15, Y7
#define FMA5 FMA4; VBROADCASTSS (DI)(R8*1), Y14; VFMADD231PS Y12, Y14, Y8; VFMADD231PS Y13, Y14, Y9
#define FMA6 FMA5; VBROADCASTSS (DI)(R8*2), Y15; VFMADD231PS Y12, Y15, Y10; VFMADD231PS Y13, Y15, Y11

#define FETCH VMOVUPS (BX), Y12; VMOVUPS 32(BX), Y13; PREFETCHT1 (BX)(R13*1); ADDQ R10, BX
#define NEXT ADDQ R9, SI; ADDQ R9, DI; DECQ R12

// func tile(rows, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc int, add bool, ahead int)
TEXT ·tile(SB), NOSPLIT, $0-88
	MOVQ    k+8(FP), R12
	MOVQ    a+16(FP), SI
	MOVQ    ars+24(FP), R8
	SHLQ    $2, R8
	LEAQ    (SI)(R8*2), DI
	ADDQ    R8, DI
	MOVQ    acs+32(FP), R9
	SHLQ    $2, R9
	MOVQ    b+40(FP), BX
	MOVQ    ldb+48(FP), R10
	SHLQ    $2, R10
	MOVQ    c+56(FP), DX
	MOVQ    ldc+64(FP), R11
	SHLQ    $2, R11
	LEAQ    (DX)(R11*2), CX
	ADDQ    R11, CX
	MOVBLZX add+72(FP), AX
	MOVQ    ahead+80(FP), R13
	SHLQ    $2, R13
	VXORPS  Y0, Y0, Y0
	VXORPS  Y1, Y1, Y1
	VXORPS  Y2, Y2, Y2
	VXORPS  Y3, Y3, Y3
	VXORPS  Y4, Y4, Y4
	VXORPS  Y5, Y5, Y5
	VXORPS  Y6, Y6, Y6
	VXORPS  Y7, Y7, Y7
	VXORPS  Y8, Y8, Y8
	VXORPS  Y9, Y9, Y9
	VXORPS  Y10, Y10, Y10
	VXORPS  Y11, Y11, Y11
	MOVQ    rows+0(FP), R14
	CMPQ    R14, $3
	JLT     below3
	JEQ     three
	CMPQ    R14, $5
	JLT     four
	JEQ     five
	TESTB AL, AL
	JEQ  loop6
	LOAD6

loop6:
	FETCH
	FMA6
	NEXT
	JNE loop6
	STORE6
	VZEROUPPER
	RET

five:
	TESTB AL, AL
	JEQ  loop5
	LOAD5

loop5:
	FETCH
	FMA5
	NEXT
	JNE loop5
	STORE5
	VZEROUPPER
	RET

four:
	TESTB AL, AL
	JEQ  loop4
	LOAD4

loop4:
	FETCH
	FMA4
	NEXT
	JNE loop4
	STORE4
	VZEROUPPER
	RET

three:
	TESTB AL, AL
	JEQ  loop3
	LOAD3

loop3:
	FETCH
	FMA3
	NEXT
	JNE loop3
	STORE3
	VZEROUPPER
	RET

below3:
	CMPQ R14, $2
	JLT  one
	TESTB AL, AL
	JEQ  loop2
	LOAD2

loop2:
	FETCH
	FMA2
	NEXT
	JNE loop2
	STORE2
	VZEROUPPER
	RET

one:
	TESTB AL, AL
	JEQ  loop1
	LOAD1

loop1:
	FETCH
	FMA1
	NEXT
	JNE loop1
	STORE1
	VZEROUPPER
	RET

// func dot(n int, a, b *float32) float32
TEXT ·dot(SB), NOSPLIT, $0-28
	MOVQ   n+0(FP), CX
	MOVQ   a+8(FP), SI
	MOVQ   b+16(FP), DI
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3

dot32:
	SUBQ        $32, CX
	JLT         dotrest
	VMOVUPS     (SI), Y4
	VMOVUPS     32(SI), Y5
	VMOVUPS     64(SI), Y6
	VMOVUPS     96(SI), Y7
	VFMADD231PS (DI), Y4, Y0
	VFMADD231PS 32(DI), Y5, Y1
	VFMADD231PS 64(DI), Y6, Y2
	VFMADD231PS 96(DI), Y7, Y3
	ADDQ        $128, SI
	ADDQ        $128, DI
	JMP         dot32

dotrest:
	ADDQ         $32, CX
	VADDPS       Y1, Y0, Y0
	VADDPS       Y3, Y2, Y2
	VADDPS       Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VMOVHLPS     X0, X0, X1
	VADDPS       X1, X0, X0
	VMOVSHDUP    X0, X1
	VADDSS       X1, X0, X0

dot1:
	DECQ        CX
	JLT         dotend
	VMOVSS      (SI), X1
	VFMADD231SS (DI), X1, X0
	ADDQ        $4, SI
	ADDQ        $4, DI
	JMP         dot1

dotend:
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

// func axpy(n int, y *float32, alpha float32, x *float32)
TEXT ·axpy(SB), NOSPLIT, $0-32
	MOVQ         n+0(FP), CX
	MOVQ         y+8(FP), DI
	VBROADCASTSS alpha+16(FP), Y0
	MOVQ         x+24(FP), SI

axpy16:
	SUBQ        $16, CX
	JLT         axpyrest
	VMOVUPS     (DI), Y1
	VMOVUPS     32(DI), Y2
	VFMADD231PS (SI), Y0, Y1
	VFMADD231PS 32(SI), Y0, Y2
	VMOVUPS     Y1, (DI)
	VMOVUPS     Y2, 32(DI)
	ADDQ        $64, SI
	ADDQ        $64, DI
	JMP         axpy16

axpyrest:
	ADDQ $16, CX

axpy1:
	DECQ        CX
	JLT         axpyend
	VMOVSS      (DI), X1
	VFMADD231SS (SI), X0, X1
	VMOVSS      X1, (DI)
	ADDQ        $4, SI
	ADDQ        $4, DI
	JMP         axpy1

axpyend:
	VZEROUPPER
	RET

// func sum4(n int, sum, a, b, c, d *float32)
TEXT ·sum4(SB), NOSPLIT, $0-48
	MOVQ n+0(FP), CX
	MOVQ sum+8(FP), DI
	MOVQ a+16(FP), R8
	MOVQ b+24(FP), R9
	MOVQ c+32(FP), R10
	MOVQ d+40(FP), R11
	XORQ AX, AX

sum4loop:
	VMOVUPS (R8)(AX*1), Y0
	VMOVUPS (R10)(AX*1), Y1
	VADDPS  (R9)(AX*1), Y0, Y0
	VADDPS  (R11)(AX*1), Y1, Y1
	VADDPS  Y1, Y0, Y0
	VADDPS  (DI)(AX*1), Y0, Y0
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ    $32, AX
	DECQ    CX
	JNE     sum4loop
	VZEROUPPER
	RET

// func sum1(n int, sum, a *float32)
TEXT ·sum1(SB), NOSPLIT, $0-24
	MOVQ n+0(FP), CX
	MOVQ sum+8(FP), DI
	MOVQ a+16(FP), R8
	XORQ AX, AX

sum1loop:
	VMOVUPS (R8)(AX*1), Y0
	VADDPS  (DI)(AX*1), Y0, Y0
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ    $32, AX
	DECQ    CX
	JNE     sum1loop
	VZEROUPPER
	RET

// func sum4Half(n int, sum *float32, a, b, c, d *uint16)
TEXT ·sum4Half(SB), NOSPLIT, $0-48
	MOVQ n+0(FP), CX
	MOVQ sum+8(FP), DI
	MOVQ a+16(FP), R8
	MOVQ b+24(FP), R9
	MOVQ c+32(FP), R10
	MOVQ d+40(FP), R11
	XORQ AX, AX

sum4halfloop:
	VCVTPH2PS (R8)(AX*1), Y0
	VCVTPH2PS (R9)(AX*1), Y1
	VCVTPH2PS (R10)(AX*1), Y2
	VCVTPH2PS (R11)(AX*1), Y3
	VADDPS    Y1, Y0, Y0
	VADDPS    Y3, Y2, Y2
	VADDPS    Y2, Y0, Y0
	VADDPS    (DI)(AX*2), Y0, Y0
	VMOVUPS   Y0, (DI)(AX*2)
	ADDQ      $16, AX
	DECQ      CX
	JNE       sum4halfloop
	VZEROUPPER
	RET

// func sum1Half(n int, sum *float32, a *uint16)
TEXT ·sum1Half(SB), NOSPLIT, $0-24
	MOVQ n+0(FP), CX
	MOVQ sum+8(FP), DI
	MOVQ a+16(FP), R8
	XORQ AX, AX

sum1halfloop:
	VCVTPH2PS (R8)(AX*1), Y0
	VADDPS    (DI)(AX*2), Y0, Y0
	VMOVUPS   Y0, (DI)(AX*2)
	ADDQ      $16, AX
	DECQ      CX
	JNE       sum1halfloop
	VZEROUPPER
	RET
