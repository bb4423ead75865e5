// What the kernels share: eight floats at a time, on AVX2 and FMA.

#ifndef XPEFT_SIMD_H
#define XPEFT_SIMD_H

#include <immintrin.h>
#include <math.h>

#define TARGET __attribute__((target("avx2,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))

// root is √x in one instruction: sqrtf would need the math library for errno's sake.
INLINE float root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

INLINE float sum8(__m256 v) {
	__m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
	x = _mm_add_ps(x, _mm_movehl_ps(x, x));
	return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}

INLINE float max8(__m256 v) {
	__m128 x = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
	x = _mm_max_ps(x, _mm_movehl_ps(x, x));
	return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
}

// exp8 is eˣ: x = n·ln 2 + r with |r| ≤ ln 2 / 2, and the Taylor series of e^r to r⁷, whose rest is below a float's last bit. NaN stays NaN.
INLINE __m256 exp8(__m256 x) {
	const __m256 high = _mm256_set1_ps(88.3762626647949f), low = _mm256_set1_ps(-87.3365478515625f);
	__m256 c = _mm256_max_ps(low, _mm256_min_ps(high, x)); // of two operands, one of them NaN, these return the second
	__m256 n = _mm256_round_ps(_mm256_mul_ps(c, _mm256_set1_ps(1.44269504088896341f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	__m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), c);
	r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
	__m256 p = _mm256_set1_ps(1.f / 5040);
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.f / 720));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.f / 120));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.f / 24));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.f / 6));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
	__m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
	return _mm256_mul_ps(p, _mm256_castsi256_ps(power));
}

// erf8 is the error function by Abramowitz and Stegun's 7.1.26: at most 1.5e-7 off.
INLINE __m256 erf8(__m256 x) {
	const __m256 sign = _mm256_set1_ps(-0.f), one = _mm256_set1_ps(1);
	__m256 a = _mm256_andnot_ps(sign, x);
	__m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(a, _mm256_set1_ps(0.3275911f), one));
	__m256 p = _mm256_set1_ps(1.061405429f);
	p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-1.453152027f));
	p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(1.421413741f));
	p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-0.284496736f));
	p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.254829592f));
	__m256 e = exp8(_mm256_xor_ps(sign, _mm256_mul_ps(a, a)));
	__m256 y = _mm256_fnmadd_ps(_mm256_mul_ps(p, t), e, one);
	return _mm256_or_ps(y, _mm256_and_ps(sign, x));
}

// tanh8 is 1 − 2 / (e²ˣ + 1).
INLINE __m256 tanh8(__m256 x) {
	const __m256 one = _mm256_set1_ps(1), two = _mm256_set1_ps(2);
	return _mm256_sub_ps(one, _mm256_div_ps(two, _mm256_add_ps(exp8(_mm256_mul_ps(two, x)), one)));
}

#endif
