// Vectors of LANES floats in plain C: the twin of avx2.h and avx512.h. Each operation rounds once, as theirs do, so the twins' results are theirs to the bit.

#include <math.h>
#include <stdint.h>
#include <string.h>

#define TARGET
#define UNROLL
#define INLINE static inline

typedef struct {
	float lane[LANES];
} vec;

#define LANE(value) \
	vec y; \
	for (int i = 0; i < LANES; i++) y.lane[i] = (value); \
	return y

INLINE vec all(float x) { LANE(x); }
INLINE vec load(const float *p) { LANE(p[i]); }
INLINE void store(float *p, vec v) { memcpy(p, v.lane, sizeof v.lane); }
INLINE vec load_part(const float *p, int n) { LANE(i < n ? p[i] : 0); } // n < LANES
INLINE void store_part(float *p, int n, vec v) { memcpy(p, v.lane, n * sizeof *p); }
INLINE vec keep(vec v, int n) { LANE(i < n ? v.lane[i] : 0); } // its first n lanes, else 0

INLINE vec add(vec a, vec b) { LANE(a.lane[i] + b.lane[i]); }
INLINE vec sub(vec a, vec b) { LANE(a.lane[i] - b.lane[i]); }
INLINE vec mul(vec a, vec b) { LANE(a.lane[i] * b.lane[i]); }
INLINE vec over(vec a, vec b) { LANE(a.lane[i] / b.lane[i]); }
INLINE vec madd(vec a, vec b, vec c) { LANE(fmaf(a.lane[i], b.lane[i], c.lane[i])); }   // ab + c
INLINE vec nmadd(vec a, vec b, vec c) { LANE(fmaf(-a.lane[i], b.lane[i], c.lane[i])); } // c − ab
INLINE vec least(vec a, vec b) { LANE(a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]); } // b where one of them is NaN
INLINE vec most(vec a, vec b) { LANE(a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]); }  // the same
INLINE vec whole(vec v) { LANE(rintf(v.lane[i])); }
INLINE vec power(vec n) { LANE(n.lane[i] == n.lane[i] ? ldexpf(1, (int)n.lane[i]) : 0); } // 2ⁿ of a whole n, not NaN
INLINE vec size(vec v) { LANE(fabsf(v.lane[i])); }
INLINE vec flip(vec v) { LANE(-v.lane[i]); }
INLINE vec signed_as(vec v, vec s) { LANE(signbit(s.lane[i]) ? copysignf(v.lane[i], -1) : v.lane[i]); } // v with s's minus

// sum adds the upper half to the lower until one is left.
INLINE float sum(vec v) {
	for (int half = LANES / 2; half > 0; half /= 2)
		for (int i = 0; i < half; i++) v.lane[i] += v.lane[i + half];
	return v.lane[0];
}

INLINE float largest(vec v) {
	for (int half = LANES / 2; half > 0; half /= 2)
		for (int i = 0; i < half; i++) v.lane[i] = v.lane[i] > v.lane[i + half] ? v.lane[i] : v.lane[i + half];
	return v.lane[0];
}

INLINE float root(float x) { return sqrtf(x); }

INLINE void prefetch(const float *p) { (void)p; } // into L2

#ifdef TILES
#include <float.h>

// flushed is 0 for what is too small to be a normal number.
INLINE vec flushed(vec v) { LANE(fabsf(v.lane[i]) < FLT_MIN ? copysignf(0, v.lane[i]) : v.lane[i]); }

// half is a bfloat16, a float's upper half; halves are those that lie four bytes apart.
INLINE float half(const uint8_t *p) {
	uint32_t bits = (uint32_t)p[1] << 24 | (uint32_t)p[0] << 16;
	float y;
	memcpy(&y, &bits, sizeof y);
	return y;
}

INLINE vec halves(const uint8_t *p) { LANE(half(p + 4 * i)); }

INLINE void put_halves(uint8_t *p, vec v) {
	v = flushed(v);
	for (int i = 0; i < LANES; i++) {
		uint32_t bits;
		memcpy(&bits, v.lane + i, sizeof bits);
		bits = v.lane[i] == v.lane[i] ? bits + 0x7fff + (bits >> 16 & 1) : bits | 0x400000;
		p[2 * i] = bits >> 16;
		p[2 * i + 1] = bits >> 24;
	}
}

// tile_sums are the sums of rows × two vectors of outputs, as TDPBF16PS makes them: of 32 inputs the
// even ones and the odd ones apart, then both together.
INLINE void tile_sums(int precision, int rows, const uint8_t *q, size_t ldq, const uint8_t *w, float *sums) {
	(void)precision;
	for (int r = 0; r < rows; r++, q += ldq)
		for (int v = 0; v < 2; v++, sums += LANES) {
			vec total = all(0);
			for (size_t k = 0; k < ldq; k += 64) {
				vec even = all(0), odd = all(0);
				for (size_t i = k; i < k + 64; i += 4) {
					const uint8_t *pair = w + 2 * LANES * i + 4 * v * LANES;
					even = flushed(madd(flushed(all(half(q + i))), flushed(halves(pair)), even));
					odd = flushed(madd(flushed(all(half(q + i + 2))), flushed(halves(pair + 2)), odd));
				}
				total = flushed(add(total, flushed(add(even, odd))));
			}
			store(sums, total);
		}
}

#define begin_tiles()
#define end_tiles()
#endif

#ifdef INTS
typedef struct {
	int32_t lane[LANES]; // sums; or whole numbers: four of 8 bits or two of 16 in each
} ints;

INLINE ints no_ints(void) { return (ints){{0}}; }

INLINE ints load_ints(const uint8_t *p) {
	ints y;
	memcpy(y.lane, p, sizeof y.lane);
	return y;
}

INLINE ints all_ints(const uint8_t *p) { // the same ones in each lane
	ints y;
	memcpy(y.lane, p, sizeof *y.lane);
	for (int i = 1; i < LANES; i++) y.lane[i] = y.lane[0];
	return y;
}

INLINE vec floats(ints v) { LANE(v.lane[i]); }

// dots8 adds to each sum the products of x's four, without a sign, and w's, with one.
INLINE ints dots8(ints sums, ints x, ints w) {
	for (int i = 0; i < LANES; i++)
		for (int b = 0; b < 32; b += 8) sums.lane[i] += (x.lane[i] >> b & 255) * (int8_t)(w.lane[i] >> b);
	return sums;
}

// dots16 adds to each sum the products of two. As there, a sum that is too large begins again.
INLINE ints dots16(ints sums, ints x, ints w) {
	for (int i = 0; i < LANES; i++) {
		uint32_t low = (int16_t)x.lane[i] * (int16_t)w.lane[i], high = (x.lane[i] >> 16) * (w.lane[i] >> 16);
		sums.lane[i] = sums.lane[i] + low + high;
	}
	return sums;
}

// The nearest whole numbers; of NaN any.
INLINE void put_bytes(uint8_t *p, vec v) {
	for (int i = 0; i < LANES; i++) p[i] = v.lane[i] > 0 ? v.lane[i] < 255 ? rintf(v.lane[i]) : 255 : 0;
}

INLINE void put_shorts(uint8_t *p, vec v) {
	for (int i = 0; i < LANES; i++) {
		int16_t y = v.lane[i] > -32768 ? v.lane[i] < 32767 ? rintf(v.lane[i]) : 32767 : -32768;
		memcpy(p + 2 * i, &y, sizeof y);
	}
}
#endif
