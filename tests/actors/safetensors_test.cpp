#include "roars/actors/safetensors.hpp"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "roars/actors/parameters.hpp"

namespace roars::safetensors_test {
namespace {

using roars::Error;
using roars::SafeTensors;
using roars::actor::Parameters;

/// A file in the folder for temporary files, gone at the end of the test.
class SafeTensorsFile : public ::testing::Test {
protected:
    std::string path = (std::filesystem::temp_directory_path() / ("roars_" + test_name() + ".safetensors")).string();

    ~SafeTensorsFile() override { std::filesystem::remove(path); }

    static std::string test_name() { return ::testing::UnitTest::GetInstance()->current_test_info()->name(); }

    void write(const std::string& header, const std::string& data, std::int64_t claimed_length = -1) const {
        std::uint64_t length = claimed_length < 0 ? header.size() : static_cast<std::uint64_t>(claimed_length);
        std::ofstream out(path, std::ios::binary);
        for (int byte = 0; byte < 8; ++byte) out.put(static_cast<char>(length >> (8 * byte) & 0xff));
        out << header << data;
    }
    std::string read() const {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    /// The message with which the file is refused; it names the file.
    std::string refusal() const {
        try {
            SafeTensors::load(path);
        } catch (const Error& error) {
            EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
            return error.what();
        }
        return "";
    }
};

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape, int begin, int end) {
    return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
           std::to_string(begin) + "," + std::to_string(end) + "]}";
}

TEST_F(SafeTensorsFile, RoundTripKeepsEveryBit) {
    const auto no_number = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> single = {1.5f, -0.0f, no_number, std::numeric_limits<float>::infinity(), 1e-42f, 7};
    std::vector<double> wide = {0.1, -1e300};
    std::vector<std::int64_t> whole = {std::numeric_limits<std::int64_t>::min()};
    std::vector<float> nothing;
    SafeTensors file;
    file.put<float>("layers.0.weight", {2, 3}, single);
    file.put<double>("moment", {2}, wide);
    file.put<std::int64_t>("step", {}, whole);
    file.put<float>("empty", {0, 4}, nothing);
    file.metadata = {{"note", "a \"quoted\" word\n"}, {"width", "96"}};
    file.save(path);

    SafeTensors loaded = SafeTensors::load(path);
    EXPECT_EQ(loaded.metadata, file.metadata);
    EXPECT_EQ(loaded.tensors().size(), 4u);
    std::vector<float> single_again(6);
    std::vector<double> wide_again(2);
    std::vector<std::int64_t> whole_again(1);
    loaded.get<float>("layers.0.weight", {2, 3}, single_again);
    loaded.get<double>("moment", {2}, wide_again);
    loaded.get<std::int64_t>("step", {}, whole_again);
    loaded.get<float>("empty", {0, 4}, nothing);
    EXPECT_EQ(std::memcmp(single.data(), single_again.data(), 24), 0);
    EXPECT_EQ(wide, wide_again);
    EXPECT_EQ(whole, whole_again);
    EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

/// Bytes as other programs write them.
TEST_F(SafeTensorsFile, GoldenBytes) {
    SafeTensors file;
    file.put<float>("a", {1}, std::vector<float>{1.0f});
    file.save(path);
    std::string header = R"({"a":{"data_offsets":[0,4],"dtype":"F32","shape":[1]}})";
    header.append((8 - header.size() % 8) % 8, ' ');
    std::string length(8, '\0');
    length[0] = static_cast<char>(header.size());
    EXPECT_EQ(read(), length + header + std::string("\x00\x00\x80\x3f", 4));
}

TEST_F(SafeTensorsFile, ReadsTensorsInAnyOrderAndOfOtherTypes) {
    write("{" + entry("b", "F32", "[1]", 2, 6) + "," + entry("a", "BF16", "[1]", 0, 2) + "}   ",
          std::string("xy") + std::string("\x00\x00\x00\x40", 4));
    SafeTensors file = SafeTensors::load(path);
    std::vector<float> b(1);
    file.get<float>("b", {1}, b);
    EXPECT_EQ(b[0], 2.0f);
    EXPECT_EQ(file.find("a").dtype, "BF16");
    EXPECT_THROW(file.get<float>("a", {1}, b), Error);
}

TEST_F(SafeTensorsFile, RefusesEveryTruncation) {
    SafeTensors file;
    file.put<double>("weight", {3}, std::vector<double>{1, 2, 3});
    file.save(path);
    std::string whole = read();
    for (std::size_t kept = 0; kept < whole.size(); ++kept) {
        std::ofstream(path, std::ios::binary) << whole.substr(0, kept);
        ASSERT_NE(refusal(), "") << kept << " of " << whole.size() << " bytes";
    }
}

TEST_F(SafeTensorsFile, RefusesBrokenLayoutsAndNamesTheTensor) {
    struct Case {
        std::string header, expected;
    };
    const std::vector<Case> cases = {
        {"{" + entry("a", "F32", "[2]", 0, 8) + "," + entry("b", "F32", "[2]", 4, 12) + "," +
             entry("c", "F32", "[1]", 12, 16) + "}",
         "'b': data overlap"},
        {"{" + entry("a", "F32", "[2]", 0, 8) + "," + entry("b", "F32", "[1]", 12, 16) + "}", "'b': a hole"},
        {"{" + entry("a", "F32", "[2]", 0, 8) + "}", "8 bytes after the last tensor"},
        {"{" + entry("a", "F32", "[5]", 0, 16) + "}", "'a': shape [5] of F32 does not fill 16 bytes"},
        {"{" + entry("a", "F32", "[5]", 0, 20) + "}", "'a': data_offsets [0, 20) leave the 16 bytes"},
        {"{" + entry("a", "F32", "[1]", 8, 4) + "}", "'a': data_offsets"},
        {"{" + entry("a", "Q4", "[4]", 0, 16) + "}", "'a': dtype 'Q4' is unknown"},
        {"{" + entry("a", "F32", "[4294967296,4294967296,4294967296]", 0, 16) + "}", "'a': shape"},
        {"{" + entry("a", "F32", "[-4]", 0, 16) + "}", "'a': header entry lacks"},
        {"{" + entry("a", "F32", "[4.5]", 0, 16) + "}", "'a': header entry lacks"},
        {R"({"a":{"dtype":"F32","shape":[4]}})", "'a': header entry lacks"},
        {R"({"a":7})", "'a': header entry lacks"},
        {R"({"__metadata__":{"k":1}})", "__metadata__ 'k' is not a string"},
        {R"([1])", "not JSON, expected an object"},
        {"{\"a\":", "not JSON"},
    };
    for (const Case& c : cases) {
        write(c.header, std::string(16, '\0'));
        EXPECT_NE(refusal().find(c.expected), std::string::npos) << c.header << "\n -> " << refusal();
    }
    write("{}", "", std::numeric_limits<std::int64_t>::max());
    EXPECT_NE(refusal().find("truncated"), std::string::npos);
    std::filesystem::remove(path);
    EXPECT_NE(refusal().find("cannot be read"), std::string::npos);
}

TEST_F(SafeTensorsFile, GetNamesWhatIsWrong) {
    SafeTensors file;
    file.put<float>("weight", {2}, std::vector<float>{1, 2});
    file.save(path);
    SafeTensors loaded = SafeTensors::load(path);
    auto message = [&](auto&& call) {
        try {
            call();
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    std::vector<float> two(2), three(3);
    std::vector<double> wide(2);
    EXPECT_EQ(message([&] { loaded.get<float>("bias", {2}, two); }),
              path + ": tensor 'bias': missing, expected among weight");
    EXPECT_EQ(message([&] { loaded.get<double>("weight", {2}, wide); }),
              path + ": tensor 'weight': dtype is F32, expected F64");
    EXPECT_EQ(message([&] {
                  loaded.get<float>("weight", {1, 2}, two);
              }),
              path + ": tensor 'weight': shape is [2], expected [1, 2]");
    EXPECT_NE(message([&] { loaded.get<float>("weight", {2}, three); }), "");
    EXPECT_THROW(file.put<float>("weight", {3}, two), Error);
    EXPECT_THROW(file.put<float>("__metadata__", {2}, two), Error);
}

TEST_F(SafeTensorsFile, AFailedSaveLeavesTheOldFile) {
    EXPECT_THROW(SafeTensors().save((std::filesystem::temp_directory_path() / "no_such_folder_roars" / "x").string()),
                 Error);
    SafeTensors file;
    file.put<float>("weight", {2}, std::vector<float>{1, 2});
    file.save(path);
    std::string before = read();
    std::filesystem::create_directory(path + ".partial");
    EXPECT_THROW(SafeTensors().save(path), Error);
    EXPECT_EQ(read(), before);
    std::filesystem::remove(path + ".partial");
}

TEST_F(SafeTensorsFile, ParametersAreReadWholeOrNotAtAll) {
    Parameters<float> saved, other;
    for (Parameters<float>* parameters : {&saved, &other}) {
        parameters->add("a", {2});
        parameters->add("b", {1, 3});
    }
    for (std::size_t i = 0; i < 5; ++i) saved.values()[i] = static_cast<float>(i);
    SafeTensors file;
    saved.write(file, "critic.");
    file.save(path);
    other.read(SafeTensors::load(path), "critic.");
    EXPECT_TRUE(std::equal(saved.values().begin(), saved.values().end(), other.values().begin()));

    Parameters<float> larger = saved;
    larger.add("c", {1});
    std::vector<float> before(larger.values().begin(), larger.values().end());
    EXPECT_THROW(larger.read(SafeTensors::load(path), "critic."), Error);
    EXPECT_TRUE(std::equal(before.begin(), before.end(), larger.values().begin()));
}

TEST(Parameters, AreOneBufferWithNamedParts) {
    Parameters<double> parameters;
    EXPECT_EQ(parameters.add("a", {2, 3}), 0);
    EXPECT_EQ(parameters.add("b", {4}), 6);
    EXPECT_EQ(parameters.size(), 10);
    parameters.values("b")[1] = 5;
    EXPECT_EQ(parameters.values()[7], 5.0);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(parameters.values().data()) % 64, 0u);
    parameters.gradients("a")[0] = 2;
    parameters.zero_gradients();
    EXPECT_EQ(parameters.gradients()[0], 0.0);
    EXPECT_THROW(parameters.add("a", {1}), Error);
    EXPECT_THROW(parameters.values("c"), Error);
}

}  // namespace
}  // namespace roars::safetensors_test
