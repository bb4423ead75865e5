// Vectors of sixteen floats, on AVX-512F. twin.h says what each operation is.

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx2,fma")))
#define UNROLL _Pragma("GCC unroll 16")
#define INLINE TARGET static inline __attribute__((always_inline))
#define INTS

enum { LANES = 16, ROWS = 12 };

typedef __m512 vec;

INLINE __mmask16 lanes(int n) { return (__mmask16)((1u << n) - 1); }

INLINE vec all(float x) { return _mm512_set1_ps(x); }
INLINE vec load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void store(float *p, vec v) { _mm512_storeu_ps(p, v); }
INLINE vec load_part(const float *p, int n) { return _mm512_maskz_loadu_ps(lanes(n), p); }
INLINE void store_part(float *p, int n, vec v) { _mm512_mask_storeu_ps(p, lanes(n), v); }
INLINE vec keep(vec v, int n) { return _mm512_maskz_mov_ps(lanes(n), v); }

INLINE vec add(vec a, vec b) { return _mm512_add_ps(a, b); }
INLINE vec sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
INLINE vec mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
INLINE vec over(vec a, vec b) { return _mm512_div_ps(a, b); }
INLINE vec madd(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vec nmadd(vec a, vec b, vec c) { return _mm512_fnmadd_ps(a, b, c); }
INLINE vec least(vec a, vec b) { return _mm512_min_ps(a, b); }
INLINE vec most(vec a, vec b) { return _mm512_max_ps(a, b); }
INLINE vec whole(vec v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vec power(vec n) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23)); }

INLINE __m512i bits(vec v) { return _mm512_castps_si512(v); } // AVX-512F has no and, or, xor of floats
INLINE vec size(vec v) { return _mm512_castsi512_ps(_mm512_andnot_si512(bits(all(-0.f)), bits(v))); }
INLINE vec flip(vec v) { return _mm512_castsi512_ps(_mm512_xor_si512(bits(all(-0.f)), bits(v))); }
INLINE vec signed_as(vec v, vec s) { return _mm512_castsi512_ps(_mm512_or_si512(bits(v), _mm512_and_si512(bits(all(-0.f)), bits(s)))); }

INLINE __m256 upper(vec v) { return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)); }

INLINE float sum(vec v) {
	__m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), upper(v));
	__m128 x = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
	x = _mm_add_ps(x, _mm_movehl_ps(x, x));
	return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}

INLINE float largest(vec v) {
	__m256 half = _mm256_max_ps(_mm512_castps512_ps256(v), upper(v));
	__m128 x = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
	x = _mm_max_ps(x, _mm_movehl_ps(x, x));
	return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
}

INLINE float root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

INLINE void prefetch(const float *p) { _mm_prefetch((const char *)p, _MM_HINT_T1); }

typedef __m512i ints;

INLINE ints no_ints(void) { return _mm512_setzero_si512(); }
INLINE ints load_ints(const uint8_t *p) { return _mm512_loadu_si512(p); }
INLINE vec floats(ints v) { return _mm512_cvtepi32_ps(v); }

// The instructions of AVX512_VNNI by their names: GCC 12 copies the sums of its built-in ones, 24
// copies a step, which cost half of the speed.
INLINE ints dots8(ints sums, ints x, ints w) {
	__asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(w));
	return sums;
}

INLINE ints dots16(ints sums, ints x, ints w) {
	__asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(w));
	return sums;
}

INLINE ints all_ints(const uint8_t *p) {
	int32_t x;
	memcpy(&x, p, sizeof x);
	return _mm512_set1_epi32(x);
}

INLINE void put_bytes(uint8_t *p, vec v) {
	_mm_storeu_si128((__m128i *)p, _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(v)));
}

INLINE void put_shorts(uint8_t *p, vec v) {
	_mm256_storeu_si256((__m256i *)p, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(v)));
}
