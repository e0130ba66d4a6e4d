#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

namespace roars {

/// sqrt(d) x / max(|x|, 1e-12), d = the length of x: a vector of norm sqrt(d); 0 stays 0. y may be x.
template <class T, class Out>
void to_sphere(std::span<T> x, std::span<Out> y) {
    double largest = 0.0, sum = 0.0;
    for (T each : x) largest = std::max(largest, std::abs(double(each)));
    for (T each : x) sum += largest > 0.0 ? (double(each) / largest) * (double(each) / largest) : 0.0;
    double norm = std::max(largest * std::sqrt(sum), 1e-12), radius = std::sqrt(double(x.size()));
    for (std::size_t j = 0; j < x.size(); ++j) y[j] = static_cast<Out>(radius * (double(x[j]) / norm));
}

/// d loss / dx from by_y = d loss / dy, y = to_sphere(x): what changes the length alone does not count. 0 at 0. by_x
/// may be by_y.
template <class T, class By, class Out>
void to_sphere_backward(std::span<T> x, std::span<By> by_y, std::span<Out> by_x) {
    double norm = 0.0, along = 0.0;
    for (T each : x) norm += double(each) * double(each);
    norm = std::sqrt(norm);
    if (norm < 1e-12) {
        std::fill(by_x.begin(), by_x.end(), Out(0));
        return;
    }
    for (std::size_t j = 0; j < x.size(); ++j) along += double(x[j]) / norm * double(by_y[j]);
    const double scale = std::sqrt(double(x.size())) / norm;
    for (std::size_t j = 0; j < x.size(); ++j)
        by_x[j] = static_cast<Out>(scale * (double(by_y[j]) - double(x[j]) / norm * along));
}

}  // namespace roars
