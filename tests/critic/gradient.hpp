#pragma once

#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

namespace roars {
namespace {

/// loss(x, gradient) must have the gradient it says, by central differences.
template <class Loss>
void expect_the_gradient(std::vector<double> x, Loss&& loss) {
    std::vector<double> gradient(x.size()), unused(x.size());
    loss(x, gradient);
    for (std::size_t i = 0; i < x.size(); ++i) {
        double own = x[i], h = 1e-6;
        x[i] = own + h;
        double above = loss(x, unused);
        x[i] = own - h;
        double below = loss(x, unused);
        x[i] = own;
        RC_ASSERT(std::abs((above - below) / (2 * h) - gradient[i]) <= 1e-5);
    }
}

}  // namespace
}  // namespace roars
