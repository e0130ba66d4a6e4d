// expect: column_needed_but_given_by_no_part_or_actor<.*columns<.*col::groups> *>
#include "roars/methods/dapo.hpp"

using namespace roars;

auto batch(Offsets tokens, std::span<float> logp, std::span<float> outcome) {
    return complete<methods::Dapo>(
        view<float>(tokens).borrow(col::logp{}, logp).borrow(col::logp_old{}, logp).borrow(col::outcome{}, outcome));
}
