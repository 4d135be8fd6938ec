/* SPDX-License-Identifier: Apache-2.0
 *
 * special.cc - the C face over Boost.Math, one of the tree's three C++ files.
 *
 * Nothing may throw through C, so every error of Boost becomes its IEEE value: NaN outside the
 * domain, infinity at a pole, 0 below the smallest number. What Boost calls a domain error but has
 * an obvious limit (an infinite t, a quantile at 0 or 1) is answered here before Boost sees it.
 * Doubles are not promoted to long double inside: on x86 that would be 80 bits and elsewhere 128
 * or 64, and the same experiment should print the same digits on each.
 */
#include <cmath>
#include <limits>

#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>

extern "C" {
#include "math/special_face.h"
}

namespace bm = boost::math;
namespace pol = boost::math::policies;

namespace {

using quiet = pol::policy<
    pol::domain_error<pol::ignore_error>, pol::pole_error<pol::ignore_error>,
    pol::overflow_error<pol::ignore_error>, pol::underflow_error<pol::ignore_error>,
    pol::denorm_error<pol::ignore_error>, pol::evaluation_error<pol::ignore_error>,
    pol::rounding_error<pol::ignore_error>, pol::indeterminate_result_error<pol::ignore_error>,
    pol::promote_double<false>>;

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double root_half = 0.70710678118654752440;
constexpr double root_two_pi_inverse = 0.39894228040143267794;

/* Boost's incomplete functions iterate; an answer is better than an exception should one ever
 * escape the policy above. */
template <typename F> double guarded(F f) noexcept
{
    try {
        return f();
    } catch (...) {
        return nan_value;
    }
}

double t_tail(double t, double df, bool upper)
{
    if (std::isnan(t) || !(df > 0)) return nan_value;
    if (std::isinf(df)) return upper ? normal_sf(t) : normal_cdf(t);
    if (std::isinf(t)) return (t > 0) != upper ? 1.0 : 0.0;
    return guarded([&] {
        bm::students_t_distribution<double, quiet> d(df);
        return upper ? bm::cdf(bm::complement(d, t)) : bm::cdf(d, t);
    });
}

}  // namespace

extern "C" double normal_pdf(double z)
{
    return root_two_pi_inverse * std::exp(-0.5 * z * z);
}

extern "C" double normal_cdf(double z)
{
    if (std::isnan(z)) return nan_value;
    if (std::isinf(z)) return z > 0 ? 1.0 : 0.0;
    return guarded([&] { return 0.5 * bm::erfc(-z * root_half, quiet()); });
}

extern "C" double normal_sf(double z)
{
    return normal_cdf(-z);
}

extern "C" double normal_quantile(double p)
{
    if (!(p >= 0 && p <= 1)) return nan_value;
    if (p == 0) return -infinity;
    if (p == 1) return infinity;
    return guarded([&] {
        return bm::quantile(bm::normal_distribution<double, quiet>(0, 1), p);
    });
}

extern "C" double chi_square_sf(double x, double df)
{
    if (std::isnan(x) || !(df > 0) || std::isinf(df)) return nan_value;
    return gamma_regularised_upper(df / 2, x <= 0 ? 0 : x / 2);
}

extern "C" double student_t_cdf(double t, double df)
{
    return t_tail(t, df, false);
}

extern "C" double student_t_sf(double t, double df)
{
    return t_tail(t, df, true);
}

extern "C" double student_t_quantile(double p, double df)
{
    if (!(p >= 0 && p <= 1) || !(df > 0)) return nan_value;
    if (p == 0) return -infinity;
    if (p == 1) return infinity;
    if (std::isinf(df)) return normal_quantile(p);
    return guarded([&] {
        return bm::quantile(bm::students_t_distribution<double, quiet>(df), p);
    });
}

extern "C" double gamma_log(double x)
{
    if (std::isnan(x)) return nan_value;
    if (std::isinf(x)) return x > 0 ? infinity : nan_value;
    return guarded([&] { return bm::lgamma(x, quiet()); });
}

extern "C" double gamma_regularised_lower(double a, double x)
{
    if (!(a > 0) || !(x >= 0) || std::isinf(a)) return nan_value;
    if (std::isinf(x)) return 1;
    return guarded([&] { return bm::gamma_p(a, x, quiet()); });
}

extern "C" double gamma_regularised_upper(double a, double x)
{
    if (!(a > 0) || !(x >= 0) || std::isinf(a)) return nan_value;
    if (std::isinf(x)) return 0;
    return guarded([&] { return bm::gamma_q(a, x, quiet()); });
}

extern "C" double beta_regularised(double a, double b, double x)
{
    if (!(a > 0) || !(b > 0) || !(x >= 0 && x <= 1) || std::isinf(a) || std::isinf(b)) return nan_value;
    return guarded([&] { return bm::ibeta(a, b, x, quiet()); });
}

extern "C" double beta_log(double a, double b)
{
    if (!(a > 0) || !(b > 0)) return nan_value;
    double small = a < b ? a : b, big = a < b ? b : a;
    /* With one small argument lgamma(big) - lgamma(small + big) would lose its digits: take the
     * ratio whole, and past 1e10 its limit big^-small. With both large little cancels. */
    if (small <= 30 && big > 1e10) return gamma_log(small) - small * std::log(big);
    return guarded([&] {
        if (small > 30) {
            return bm::lgamma(small, quiet()) + (bm::lgamma(big, quiet()) - bm::lgamma(small + big, quiet()));
        }
        return bm::lgamma(small, quiet()) + std::log(bm::tgamma_delta_ratio(big, small, quiet()));
    });
}
