// What the model's functions are made of, over the operations of one path's vectors.

#include <math.h>
#include <string.h>

// get and put take the last lanes of a row that is no whole number of vectors: left is how many values there are.
INLINE vec get(const float *p, int left) { return left >= LANES ? load(p) : load_part(p, left); }

INLINE void put(float *p, int left, vec v) {
	if (left >= LANES) store(p, v);
	else store_part(p, left, v);
}

// exponential is eˣ: x = n·ln 2 + r with |r| ≤ ln 2 / 2, and the Taylor series of e^r to r⁷, whose rest is below a float's last bit. NaN stays NaN.
INLINE vec exponential(vec x) {
	vec c = most(all(-87.3365478515625f), least(all(88.3762626647949f), x)); // of two operands, one of them NaN, these return the second
	vec n = whole(mul(c, all(1.44269504088896341f)));
	vec r = nmadd(n, all(-2.12194440e-4f), nmadd(n, all(0.693359375f), c));
	vec p = madd(all(1.f / 5040), r, all(1.f / 720));
	p = madd(p, r, all(1.f / 120));
	p = madd(p, r, all(1.f / 24));
	p = madd(p, r, all(1.f / 6));
	p = madd(p, r, all(0.5f));
	p = madd(p, r, all(1));
	p = madd(p, r, all(1));
	return mul(p, power(n));
}

// error is the error function by Abramowitz and Stegun's 7.1.26: at most 1.5e-7 off.
INLINE vec error(vec x) {
	vec a = size(x), one = all(1), t = over(one, madd(a, all(0.3275911f), one));
	vec p = madd(all(1.061405429f), t, all(-1.453152027f));
	p = madd(p, t, all(1.421413741f));
	p = madd(p, t, all(-0.284496736f));
	p = madd(p, t, all(0.254829592f));
	return signed_as(nmadd(mul(p, t), exponential(flip(mul(a, a))), one), x);
}

// tangent is the hyperbolic one, 1 − 2 / (e²ˣ + 1).
INLINE vec tangent(vec x) { return sub(all(1), over(all(2), add(exponential(mul(all(2), x)), all(1)))); }
