#include "roars/reflect.hpp"
#include "../limits.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include <boost/hana/for_each.hpp>
#include <boost/hana/fuse.hpp>

#include "roars/hana.hpp"
#include "roars/methods/dapo.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/step/clipped.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/sum.hpp"

namespace reflect_test {

struct Inner {
    double rate = 0.5;
    bool on = false;
};
ROARS_FIELDS(Inner, rate, on)

struct Everything {
    Inner inner{};
    std::int32_t whole = 1;
    std::uint8_t byte = 2;
    std::string text = "a";
    std::vector<std::int32_t> list{1, 2};
};
ROARS_FIELDS(Everything, inner, whole, byte, text, list)

/// A part that wraps one, and a value of the same name.
struct Wraps {
    std::string base;
    roars::step::Clipped<roars::step::AdamW> step;
};
ROARS_FIELDS(Wraps, base, step)

struct Several {
    Everything all{};
    std::vector<Inner> parts;
};
ROARS_FIELDS(Several, all, parts)

}  // namespace reflect_test

namespace roars::reflect_test {
namespace {

using nlohmann::json;
using ::reflect_test::Everything;
using ::reflect_test::Several;
using ::reflect_test::Wraps;

template <class Action>
std::string error_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

TEST(Reflect, FlagsReachEverySettingOfAMethod) {
    auto dapo = methods::dapo;
    EXPECT_TRUE(set_setting(dapo, "optimizer.surrogate.high", "0.3"));
    EXPECT_TRUE(set_setting(dapo, "sampler.group_size", "4"));
    EXPECT_TRUE(set_setting(dapo, "reward.soft_overlong.max_length", "1e3"));
    EXPECT_EQ(dapo.optimizer.surrogate.high, 0.3);
    EXPECT_EQ(dapo.sampler.group_size, 4);
    EXPECT_EQ(get<1>(dapo.reward).max_length, 1000);
    EXPECT_FALSE(set_setting(dapo, "optimizer.surrogate", "0.3"));
    EXPECT_FALSE(set_setting(dapo, "optimizer.surrogate.hihg", "0.3"));
}

TEST(Reflect, AWrapperHasNoWordInFlagsButAValueNamedBaseHas) {
    Wraps all;
    EXPECT_TRUE(set_setting(all, "base", "runs/first") && all.base == "runs/first");
    EXPECT_TRUE(set_setting(all, "step.learning_rate", "0.5") && all.step.base.learning_rate == 0.5);
    EXPECT_EQ(flags_in(all).front().path, "base");
    EXPECT_FALSE(set_setting(all, "step.base.learning_rate", "0.5"));
}

TEST(Reflect, FlagsOfEveryType) {
    Everything all;
    EXPECT_TRUE(set_setting(all, "inner.on", "true") && all.inner.on);
    EXPECT_TRUE(set_setting(all, "inner.on", "0") && !all.inner.on);
    EXPECT_TRUE(set_setting(all, "text", "1,2") && all.text == "1,2");
    EXPECT_TRUE(set_setting(all, "list", "7,8,-9") && all.list == (std::vector<std::int32_t>{7, 8, -9}));
    EXPECT_TRUE(set_setting(all, "whole", "-2147483648") && all.whole == std::numeric_limits<std::int32_t>::min());
}

TEST(Reflect, FlagsThatAreNoValue) {
    Everything all;
    auto error = [&](const char* path, const char* text) { return error_of([&] { set_setting(all, path, text); }); };
    EXPECT_EQ(error("inner.rate", "fast"), "--inner.rate: 'fast' is not a number");
    EXPECT_EQ(error("inner.rate", ""), "--inner.rate: '' is not a number");
    EXPECT_EQ(error("inner.rate", "nan"), "--inner.rate: 'nan' is not a number");
    EXPECT_EQ(error("inner.rate", "1e999"), "--inner.rate: '1e999' is not a number");
    EXPECT_EQ(error("whole", "1.5"), "--whole: '1.5', expected a whole number");
    EXPECT_EQ(error("whole", "3e9"), "--whole: '3e9' is out of range");
    EXPECT_EQ(error("byte", "-1"), "--byte: '-1' is out of range");
    EXPECT_EQ(error("byte", "256"), "--byte: '256' is out of range");
    EXPECT_EQ(error("inner.on", "yes"), "--inner.on: 'yes', expected true or false");
    EXPECT_EQ(error("list", "1,,2"), "--list: '' is not a number");
    EXPECT_EQ(all.whole, 1);
}

TEST(Reflect, JsonThereAndBack) {
    Several several{{{1.0 / 3.0, true}, -5, 255, "\"quoted\" \n", {}}, {{0.1, false}, {-0.0, true}}}, back;
    from_json(json::parse(to_json(several).dump()), back);
    EXPECT_EQ(back.all.inner.rate, 1.0 / 3.0);
    EXPECT_EQ(back.all.text, several.all.text);
    EXPECT_TRUE(back.all.list.empty());
    ASSERT_EQ(back.parts.size(), 2u);
    EXPECT_TRUE(std::signbit(back.parts[1].rate) && back.parts[1].on);
    EXPECT_EQ(to_json(back), to_json(several));
}

TEST(Reflect, JsonKeepsWhatIsNotFinite) {
    for (double value : {infinity, -infinity, std::nan("")}) {
        Everything all, back;
        all.inner.rate = value;
        from_json(json::parse(to_json(all).dump()), back);
        EXPECT_TRUE(back.inner.rate == value || (std::isnan(value) && std::isnan(back.inner.rate))) << value;
    }
}

TEST(Reflect, JsonThatDoesNotFitNamesTheField) {
    auto error = [](const char* path, const json& value) {
        json changed = to_json(Several{});
        changed[json::json_pointer(path)] = value;
        Several into;
        return error_of([&] { from_json(changed, into); });
    };
    EXPECT_EQ(error("/all/whole", 1.5), "all.whole: '1.5' is of the wrong type");
    EXPECT_EQ(error("/all/whole", true), "all.whole: 'true' is of the wrong type");
    EXPECT_EQ(error("/all/byte", 300), "all.byte: '300' is of the wrong type");
    EXPECT_EQ(error("/all/inner/rate", "fast"), "all.inner.rate: '\"fast\"' is of the wrong type");
    EXPECT_EQ(error("/all/inner/rate", nullptr), "all.inner.rate: 'null' is of the wrong type");
    EXPECT_EQ(error("/all/inner/on", 1), "all.inner.on: '1' is of the wrong type");
    EXPECT_EQ(error("/all/text", 1), "all.text: '1' is of the wrong type");
    EXPECT_EQ(error("/all/list", 1), "all.list: expected a list");
    EXPECT_EQ(error("/parts", json::array({json::object()})), "parts[0].rate: missing");
    EXPECT_EQ(error("/all/inner", 3), "all.inner.rate: missing");
    EXPECT_EQ(error("/all/inner/rate", 2), "no error");
}

TEST(Reflect, TwoPartsOfOneTypeHaveTwoNames) {
    using Pair = regularizer::Sum<regularizer::Kl<kl::K3>, regularizer::EntropyBonus, regularizer::Kl<kl::K2>>;
    Pair pair{{.coefficient = 0.1}, {.coefficient = 0.2}, {.coefficient = 0.3}}, back;
    std::map<std::string, double> seen;
    for (const auto& [path, setting] : settings_in(pair)) {
        ASSERT_NE(setting.as<double>(), nullptr) << path;
        seen[path] = *setting.as<double>();
    }
    EXPECT_EQ(seen, (std::map<std::string, double>{
                        {"kl.coefficient", 0.1}, {"entropy_bonus.coefficient", 0.2}, {"kl_2.coefficient", 0.3}}));
    from_json(to_json(pair), back);
    EXPECT_EQ(get<0>(back).coefficient, 0.1);
    EXPECT_EQ(get<2>(back).coefficient, 0.3);
}

TEST(Reflect, SettingsAreAskedByTheirType) {
    Everything all;
    int wholes = 0, texts = 0;
    for (const auto& [path, setting] : settings_in(all)) {
        if (auto* whole = setting.as<std::int32_t>()) wholes += *whole;
        if (auto* text = setting.as<std::string>()) *text += "!", ++texts;
        EXPECT_EQ(setting.as<float>(), nullptr);
        if (setting.is_number()) setting.assign(7);
    }
    EXPECT_EQ(wholes, 1);
    EXPECT_EQ(texts, 1);
    EXPECT_EQ(all.text, "a!");
    EXPECT_EQ(all.inner.rate, 7);
    EXPECT_EQ(all.byte, 7);
    EXPECT_EQ(all.list, (std::vector<std::int32_t>{1, 2}));
}

TEST(Reflect, SettingsAreHanaStructs) {
    const Everything all;
    std::vector<std::string> names;
    boost::hana::for_each(boost::hana::accessors<Everything>(), boost::hana::fuse([&](auto key, auto access) {
                              names.emplace_back(key.name());
                              if constexpr (std::is_same_v<decltype(access(all)), const std::int32_t&>)
                                  EXPECT_EQ(access(all), 1);
                          }));
    EXPECT_EQ(names, (std::vector<std::string>{"inner", "whole", "byte", "text", "list"}));
}

TEST(Reflect, NamesOfTypes) {
    EXPECT_EQ(short_name<reward::SoftOverlong>(), "soft_overlong");
    EXPECT_EQ(short_name<regularizer::Kl<kl::K3>>(), "kl");
    EXPECT_EQ(type_name<regularizer::Kl<kl::K2>>(), "regularizer::Kl<kl::K2>");
    EXPECT_EQ((type_name<reward::Sum<reward::Verified, reward::SoftOverlong>>()),
              "reward::Sum<reward::Verified, reward::SoftOverlong>");
}

}  // namespace
}  // namespace roars::reflect_test
