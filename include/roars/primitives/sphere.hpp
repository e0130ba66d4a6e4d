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

}  // namespace roars
