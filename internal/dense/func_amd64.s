#include "textflag.h"

// Offsets into wide, which R8 points to.
#define MOST     (0*32)(R8)
#define LEAST    (1*32)(R8)
#define LOG2E    (2*32)(R8)
#define LN2HIGH  (3*32)(R8)
#define LN2LOW   (4*32)(R8)
#define BIAS     (5*32)(R8)
#define TAYLOR7  (6*32)(R8)
#define TAYLOR6  (7*32)(R8)
#define TAYLOR5  (8*32)(R8)
#define TAYLOR4  (9*32)(R8)
#define TAYLOR3  (10*32)(R8)
#define TAYLOR2  (11*32)(R8)
#define ONE      (12*32)(R8)
#define ERFP     (13*32)(R8)
#define ERFA5    (14*32)(R8)
#define ERFA4    (15*32)(R8)
#define ERFA3    (16*32)(R8)
#define ERFA2    (17*32)(R8)
#define ERFA1    (18*32)(R8)
#define SIGN     (19*32)(R8)
#define MAGNITUDE (20*32)(R8)
#define RSQRT2   (21*32)(R8)
#define HALF     (22*32)(R8)
#define TWO      (23*32)(R8)
#define TANHA    (24*32)(R8)
#define TANHB    (25*32)(R8)

// START loads what EXP keeps in registers: Y15 is 1, Y14 and Y13 the limits. Of two operands, one of them NaN, MIN and MAX return the one written first here.
#define START \
	LEAQ    ·wide(SB), R8 \
	VMOVUPS ONE, Y15      \
	VMOVUPS MOST, Y14     \
	VMOVUPS LEAST, Y13

// EXP is Y0 = e^Y0; it uses Y1 and Y2.
#define EXP \
	VMINPS       Y0, Y14, Y0     \
	VMAXPS       Y0, Y13, Y0     \
	VMULPS       LOG2E, Y0, Y1   \
	VROUNDPS     $8, Y1, Y1      \
	VFNMADD231PS LN2HIGH, Y1, Y0 \
	VFNMADD231PS LN2LOW, Y1, Y0  \
	VMOVUPS      TAYLOR7, Y2     \
	VFMADD213PS  TAYLOR6, Y0, Y2 \
	VFMADD213PS  TAYLOR5, Y0, Y2 \
	VFMADD213PS  TAYLOR4, Y0, Y2 \
	VFMADD213PS  TAYLOR3, Y0, Y2 \
	VFMADD213PS  TAYLOR2, Y0, Y2 \
	VFMADD213PS  Y15, Y0, Y2     \
	VFMADD213PS  Y15, Y0, Y2     \
	VCVTPS2DQ    Y1, Y1          \
	VPADDD       BIAS, Y1, Y1    \
	VPSLLD       $23, Y1, Y1     \
	VMULPS       Y1, Y2, Y0

// FOLD8 adds or compares the 8 values of Y0 into X0; it uses X1.
#define SUM8 \
	VEXTRACTF128 $1, Y0, X1     \
	VADDPS       X1, X0, X0     \
	VMOVHLPS     X0, X0, X1     \
	VADDPS       X1, X0, X0     \
	VMOVSHDUP    X0, X1         \
	VADDSS       X1, X0, X0

// func geluKernel(n int, x *float32)
TEXT ·geluKernel(SB), NOSPLIT, $0-16
	MOVQ n+0(FP), CX
	MOVQ x+8(FP), DI
	START

gelu:
	VMOVUPS      (DI), Y8
	VMULPS       RSQRT2, Y8, Y3
	VANDPS       MAGNITUDE, Y3, Y4
	VMOVAPS      Y4, Y5
	VFMADD132PS  ERFP, Y15, Y5
	VDIVPS       Y5, Y15, Y5           // t
	VMOVUPS      ERFA5, Y7
	VFMADD213PS  ERFA4, Y5, Y7
	VFMADD213PS  ERFA3, Y5, Y7
	VFMADD213PS  ERFA2, Y5, Y7
	VFMADD213PS  ERFA1, Y5, Y7
	VMULPS       Y4, Y4, Y0
	VXORPS       SIGN, Y0, Y0
	EXP
	VMULPS       Y5, Y7, Y7
	VFNMADD213PS Y15, Y0, Y7           // erf's magnitude
	VANDPS       SIGN, Y3, Y3
	VORPS        Y3, Y7, Y7
	VADDPS       Y15, Y7, Y7
	VMULPS       HALF, Y8, Y8
	VMULPS       Y7, Y8, Y8
	VMOVUPS      Y8, (DI)
	ADDQ         $32, DI
	DECQ         CX
	JNE          gelu
	VZEROUPPER
	RET

// func geluTanhKernel(n int, x *float32)
TEXT ·geluTanhKernel(SB), NOSPLIT, $0-16
	MOVQ n+0(FP), CX
	MOVQ x+8(FP), DI
	START

tanh:
	VMOVUPS     (DI), Y8
	VMULPS      Y8, Y8, Y0
	VMULPS      Y8, Y0, Y0
	VFMADD132PS TANHB, Y8, Y0
	VMULPS      TANHA, Y0, Y0
	VMULPS      TWO, Y0, Y0
	EXP
	VADDPS      Y15, Y0, Y0
	VMOVUPS     TWO, Y1
	VDIVPS      Y0, Y1, Y0
	VSUBPS      Y0, Y15, Y0
	VADDPS      Y15, Y0, Y0
	VMULPS      HALF, Y8, Y8
	VMULPS      Y0, Y8, Y8
	VMOVUPS     Y8, (DI)
	ADDQ        $32, DI
	DECQ        CX
	JNE         tanh
	VZEROUPPER
	RET

// func softmaxKernel(n int, s *float32)
TEXT ·softmaxKernel(SB), NOSPLIT, $0-16
	MOVQ    n+0(FP), CX
	MOVQ    s+8(FP), DI
	START
	MOVQ    DI, SI
	MOVQ    CX, DX
	VMOVUPS (SI), Y0

most:
	VMOVUPS (SI), Y1
	VMAXPS  Y0, Y1, Y0
	ADDQ    $32, SI
	DECQ    DX
	JNE     most
	VEXTRACTF128 $1, Y0, X1
	VMAXPS       X1, X0, X0
	VMOVHLPS     X0, X0, X1
	VMAXPS       X1, X0, X0
	VMOVSHDUP    X0, X1
	VMAXSS       X1, X0, X0
	VBROADCASTSS X0, Y5
	VXORPS       Y6, Y6, Y6
	MOVQ         DI, SI
	MOVQ         CX, DX

power:
	VMOVUPS (SI), Y0
	VSUBPS  Y5, Y0, Y0
	EXP
	VMOVUPS Y0, (SI)
	VADDPS  Y0, Y6, Y6
	ADDQ    $32, SI
	DECQ    DX
	JNE     power
	VMOVAPS      Y6, Y0
	SUM8
	VDIVSS       X0, X15, X0
	VBROADCASTSS X0, Y0

scale:
	VMULPS  (DI), Y0, Y1
	VMOVUPS Y1, (DI)
	ADDQ    $32, DI
	DECQ    CX
	JNE     scale
	VZEROUPPER
	RET

// func normKernel(n int, y, x, z, weight, bias *float32, eps float32, add bool)
TEXT ·normKernel(SB), NOSPLIT, $0-53
	MOVQ      n+0(FP), CX
	MOVQ      y+8(FP), DI
	MOVQ      x+16(FP), SI
	MOVQ      z+24(FP), BX
	MOVQ      weight+32(FP), R9
	MOVQ      bias+40(FP), R10
	MOVBLZX   add+52(FP), AX
	LEAQ      (CX*8), R11
	VCVTSI2SSQ R11, X7, X7       // how many
	SHLQ      $5, CX             // bytes
	VXORPS    Y0, Y0, Y0
	XORQ      DX, DX

sum:
	VMOVUPS (SI)(DX*1), Y2
	TESTB   AL, AL
	JEQ     alone
	VADDPS  (BX)(DX*1), Y2, Y2

alone:
	VMOVUPS Y2, (DI)(DX*1)
	VADDPS  Y2, Y0, Y0
	ADDQ    $32, DX
	CMPQ    DX, CX
	JNE     sum
	SUM8
	VDIVSS       X7, X0, X0
	VBROADCASTSS X0, Y5          // mean
	VXORPS       Y0, Y0, Y0
	XORQ         DX, DX

square:
	VMOVUPS     (DI)(DX*1), Y2
	VSUBPS      Y5, Y2, Y2
	VFMADD231PS Y2, Y2, Y0
	ADDQ        $32, DX
	CMPQ        DX, CX
	JNE         square
	SUM8
	VDIVSS       X7, X0, X0
	VADDSS       eps+48(FP), X0, X0
	VSQRTSS      X0, X0, X0
	MOVL         $1, R11
	VCVTSI2SSQ   R11, X1, X1
	VDIVSS       X0, X1, X0
	VBROADCASTSS X0, Y6
	XORQ         DX, DX

affine:
	VMOVUPS     (DI)(DX*1), Y2
	VSUBPS      Y5, Y2, Y2
	VMULPS      Y6, Y2, Y2
	VMOVUPS     (R9)(DX*1), Y3
	VFMADD213PS (R10)(DX*1), Y3, Y2
	VMOVUPS     Y2, (DI)(DX*1)
	ADDQ        $32, DX
	CMPQ        DX, CX
	JNE         affine
	VZEROUPPER
	RET
