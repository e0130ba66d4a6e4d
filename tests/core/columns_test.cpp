#include "roars/columns.hpp"

#include <gtest/gtest.h>

#include <string>

#include "roars/methods/ppo.hpp"

namespace roars::columns_test {
namespace {

using A = col::logp;
using B = col::logp_old;
using C = col::advantage;

static_assert(contains_v<A, columns<B, A>> && !contains_v<C, columns<B, A>> && !contains_v<A, columns<>>);
static_assert(std::is_same_v<unite_t<>, columns<>>);
static_assert(std::is_same_v<unite_t<columns<>, columns<>>, columns<>>);
static_assert(std::is_same_v<unite_t<columns<A, B>, columns<B, C>, columns<A>>, columns<A, B, C>>);
static_assert(std::is_same_v<minus_t<columns<A, B, C>, columns<B>>, columns<A, C>>);
static_assert(std::is_same_v<minus_t<columns<A>, columns<A, B>>, columns<>>);
static_assert(std::is_same_v<common_t<columns<A, B, C>, columns<C, A>>, columns<A, C>>);
static_assert(std::is_same_v<common_t<columns<A>, columns<>>, columns<>>);
static_assert(within_v<columns<A, C>, columns<C, B, A>> && !within_v<columns<A, C>, columns<A>> &&
              within_v<columns<>, columns<>>);

static_assert(std::is_same_v<value_of<col::logp, float>, float> && std::is_same_v<value_of<col::logp, double>, double>);
static_assert(std::is_same_v<value_of<col::token, double>, std::int32_t>);
static_assert(std::is_same_v<value_of<col::groups, float>, std::int64_t>);
static_assert(is_gradient_v<col::grad<A>> && !is_gradient_v<A>);
static_assert(col::grad<col::value>::extent == Extent::token && col::grad<col::value>::origin == Origin::part);

struct SaysNothing {};
static_assert(std::is_same_v<needs_of<SaysNothing>, columns<>> && std::is_same_v<gives_of<SaysNothing>, columns<>>);

// What PPO asks from outside, whatever the order: nothing that a part gives is among it.
using Ppo = methods::Ppo;
using PpoInputs =
    columns<col::groups, col::outcome, col::logp, col::logp_old, col::logp_ref, col::value, col::value_old>;
static_assert(within_v<Ppo::Inputs, PpoInputs> && within_v<PpoInputs, Ppo::Inputs>);
static_assert(common_t<Ppo::Inputs, Ppo::Gives>::size == 0);
static_assert(std::is_same_v<Ppo::Masks, columns<col::mask>>);
static_assert(within_v<columns<col::grad<col::logp>, col::grad<col::value>>, Ppo::Columns>);
static_assert(!contains_v<col::entropy, Ppo::Columns>, "what nobody reads is not in the batch");

TEST(Columns, AreVisitedInOrderByName) {
    std::string names;
    for_each_column(unite_t<columns<A>, columns<col::groups, C>>{},
                    [&](auto column) { names += std::string(column.name) + " "; });
    EXPECT_EQ(names, "logp groups advantage ");
}

}  // namespace
}  // namespace roars::columns_test
