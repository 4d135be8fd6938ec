/* SPDX-License-Identifier: Apache-2.0
 *
 * special_face.h - what special.cc gives to C; math.h says what each means. */
#ifndef MATH_SPECIAL_FACE_H
#define MATH_SPECIAL_FACE_H

double normal_pdf(double z);
double normal_cdf(double z);
double normal_sf(double z);
double normal_quantile(double p);
double chi_square_sf(double x, double df);
double student_t_cdf(double t, double df);
double student_t_sf(double t, double df);
double student_t_quantile(double p, double df);
double gamma_log(double x);
double gamma_regularised_lower(double a, double x);
double gamma_regularised_upper(double a, double x);
double beta_regularised(double a, double b, double x);
double beta_log(double a, double b);

#endif
