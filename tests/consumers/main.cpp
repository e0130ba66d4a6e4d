// What a user of the library writes first: one header, one method, one number that must be the same on every machine.
#include <cstdio>
#include <roars/roars.hpp>

int main() {
    static_assert(roars::contains_v<roars::col::logp_old, roars::methods::Dapo::Inputs>);
    roars::Random random(7);
    double first = random.uniform(0, 0), again = random.uniform(0, 0), next = random.uniform(0, 1);
    std::printf("%.17g %.17g\n", first, next);
    return first == again && first != next && first >= 0 && first < 1 ? 0 : 1;
}
