#include "roars/data/files.hpp"
#include "../limits.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "roars/data/collect.hpp"
#include "roars/environments/cart_pole.hpp"
#include "roars/environments/pendulum.hpp"

namespace roars::files_test {
namespace {

namespace fs = std::filesystem;

data::Transitions<> cart_pole(std::int64_t rows = 300) {
    auto transitions = data::collect(env::CartPole{}, rows, 1, env::UniformPolicy{});
    transitions.notes = {{"environment", "CartPole-v1"}, {"policy", "random"}};
    return transitions;
}
data::Transitions<double> pendulum(std::int64_t rows = 450) {
    return data::collect<double>(env::Pendulum{}, rows, 2, env::UniformPolicy{});
}

TEST(Transitions, EpisodesAndReturnsAreThoseOfTheWorld) {
    auto t = pendulum();
    EXPECT_EQ(t.episodes(), (std::vector<std::int64_t>{0, 200, 400, 450}));
    EXPECT_EQ(t.returns().size(), 3u);
    EXPECT_NO_THROW(t.check("here"));
    auto c = cart_pole();
    auto returns = c.returns();
    auto offsets = c.episodes();
    for (std::size_t e = 0; e < returns.size(); ++e) EXPECT_EQ(returns[e], double(offsets[e + 1] - offsets[e]));
    EXPECT_EQ(cart_pole().state, c.state);  // the same seed, the same rows
    for (std::int64_t row = 0; row + 1 < c.rows(); ++row)
        for (std::int64_t k = 0; k < 4 && !c.ends(row); ++k)
            EXPECT_EQ(c.next_state[std::size_t(row * 4 + k)], c.state[std::size_t((row + 1) * 4 + k)]);
}

TEST(Transitions, AppendAndKeepFirst) {
    auto t = pendulum(250), more = pendulum(50);
    t.append(more);
    EXPECT_EQ(t.rows(), 300);
    EXPECT_EQ(t.episodes().size(), 4u);
    t.keep_first(210);
    EXPECT_EQ(t.rows(), 210);
    EXPECT_TRUE(t.truncated.back());
    EXPECT_NO_THROW(t.check("here"));
    data::Transitions<double> other = pendulum();
    other.observation_size = 4;
    EXPECT_THROW(t.append(other), Error);
}

TEST(Transitions, WhatIsWrongIsNamedByColumnAndRow) {
    auto says = [](auto breakage, const std::string& expected) {
        auto t = cart_pole(20);
        breakage(t);
        try {
            t.check("these");
            ADD_FAILURE() << "no error: " << expected;
        } catch (const Error& error) {
            EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
        }
    };
    using T = data::Transitions<>;
    says([](T& t) { t.reward[7] = std::nanf(""); }, "these: column 'reward', row 7: nan");
    says([](T& t) { t.state[4 * 5 + 2] = INFINITY; }, "column 'state', row 5: inf");
    says([](T& t) { t.action[3] = 2; }, "column 'action', row 3: 2");
    says([](T& t) { t.action[3] = 0.5; }, "column 'action', row 3: 0.5");
    says([](T& t) { t.next_state.pop_back(); }, "column 'next_state' holds 79");
    says([](T& t) { t.terminated[2] = 1, t.truncated[2] = 1; }, "row 2");
    says([](T& t) { t.terminated[2] = 7; }, "row 2");
    says([](T& t) { t.truncated.back() = 0, t.terminated.back() = 0; }, "last row");
    says([](T& t) { t = {}; }, "no transitions");
}

TEST(Collect, ActionsThatAreNoneAreErrors) {
    auto wrong = [](const auto&, auto, auto action, RandomStream&) { action[0] = 2; };
    EXPECT_THROW(data::collect(env::CartPole{}, 5, 0, wrong), Error);
    auto no_number = [](const auto&, auto, auto action, RandomStream&) { action[0] = std::nan(""); };
    EXPECT_THROW(data::collect<double>(env::Pendulum{}, 5, 0, no_number), Error);
    EXPECT_THROW(data::collect(env::CartPole{}, 0, 0, env::UniformPolicy{}), Error);
}

#if defined(ROARS_HDF5)

namespace hdf5 = data::hdf5;

struct Files : testing::Test {
    fs::path folder = fs::path(testing::TempDir()) /
                      ("roars_files_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    Files() { fs::remove_all(folder), fs::create_directories(folder); }
    ~Files() override { fs::remove_all(folder); }
    std::string path(const std::string& name) const { return (folder / name).string(); }

    /// Opens the file, lets `use` change it, and closes it.
    static void change(const std::string& file, const std::function<void(hid_t)>& use) {
        hdf5::Handle handle(H5Fopen(file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
        ASSERT_TRUE(handle.valid());
        use(handle);
    }
    template <class T>
    static void replace(hid_t at, const char* name, const std::vector<T>& values, std::int64_t rows, std::int64_t width,
                        int rank) {
        H5Ldelete(at, name, H5P_DEFAULT);
        ASSERT_TRUE(hdf5::write(at, name, std::span<const T>(values), rows, width, rank));
    }
    static void put(hid_t at, const char* name, std::int64_t row, std::int64_t width, double value) {
        hdf5::Handle set(H5Dopen2(at, name, H5P_DEFAULT), H5Dclose), space(H5Dget_space(set), H5Sclose);
        hsize_t where[2] = {hsize_t(row), hsize_t(width)}, one[2] = {1, 1};
        H5Sselect_hyperslab(space, H5S_SELECT_SET, where, nullptr, one, nullptr);
        hdf5::Handle memory(H5Screate_simple(1, one, nullptr), H5Sclose);
        ASSERT_GE(H5Dwrite(set, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, &value), 0);
    }

    /// load must say `expected`, in one line behind the file's name.
    void refuses(const std::string& file, const std::string& expected) {
        ++refused;
        try {
            data::load<float>(file);
            ADD_FAILURE() << "no error, expected: " << expected;
        } catch (const Error& error) {
            const std::string message = error.what();
            EXPECT_NE(message.find(expected), std::string::npos) << message << "\nexpected: " << expected;
            EXPECT_EQ(message.find(folder.string()), 0u) << message;
            EXPECT_EQ(message.find('\n'), std::string::npos) << message;
        }
    }
    int refused = 0;
};

TEST_F(Files, WhatIsSavedIsLoaded) {
    auto t = cart_pole();
    data::save(t, path("cart.hdf5"));
    data::save_minari(t, path("cart") + "/");
    for (const auto& file : {path("cart.hdf5"), path("cart"), path("cart/data/main_data.hdf5")}) {
        auto u = data::load(file);
        EXPECT_EQ(u.state, t.state);
        EXPECT_EQ(u.action, t.action);
        EXPECT_EQ(u.reward, t.reward);
        EXPECT_EQ(u.next_state, t.next_state);
        EXPECT_EQ(u.terminated, t.terminated);
        EXPECT_EQ(u.truncated, t.truncated);
        EXPECT_EQ(u.action_count, 2);
        EXPECT_EQ(u.notes["environment"], "CartPole-v1");
        EXPECT_EQ(u.notes["policy"], "random");
    }
    auto p = pendulum();
    data::save(p, path("pendulum.hdf5"));
    data::save_minari(p, path("pendulum"));
    for (const auto& file : {path("pendulum.hdf5"), path("pendulum")}) {
        auto q = data::load<double>(file);
        EXPECT_EQ(q.next_state, p.next_state);
        EXPECT_EQ(q.action, p.action);
        EXPECT_EQ(q.action_count, 0);
    }
    data::save(p, path("cart.hdf5"));  // replaces it
    EXPECT_EQ(data::load(path("cart.hdf5")).rows(), p.rows());
    EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator{}), 4);  // nothing else is left
}

TEST_F(Files, ARowWithoutANextStateIsLeftOut) {
    auto t = pendulum();  // episodes of 200, 200 and 50 rows, all cut
    data::save(t, path("a.hdf5"));
    change(path("a.hdf5"), [](hid_t file) { H5Ldelete(file, "next_observations", H5P_DEFAULT); });
    auto u = data::load<double>(path("a.hdf5"));
    EXPECT_EQ(u.rows_left_out, 3);
    EXPECT_EQ(u.episodes(), (std::vector<std::int64_t>{0, 199, 398, 447}));
    for (std::int64_t row = 0; row < u.rows(); ++row) {
        std::int64_t from = row + (row >= 199) + (row >= 398);
        EXPECT_EQ(u.reward[std::size_t(row)], t.reward[std::size_t(from)]);
        for (std::int64_t k = 0; k < 3; ++k)
            EXPECT_EQ(u.next_state[std::size_t(row * 3 + k)], t.next_state[std::size_t(from * 3 + k)]);
    }
    auto c = cart_pole();
    data::save(c, path("b.hdf5"));
    change(path("b.hdf5"), [](hid_t file) { H5Ldelete(file, "next_observations", H5P_DEFAULT); });
    EXPECT_EQ(data::load(path("b.hdf5")).rows_left_out, c.terminated.back() ? 0 : 1);  // terminated rows stay
}

TEST_F(Files, FlagsMayBeNumbers) {
    auto t = cart_pole();
    data::save(t, path("a.hdf5"));
    change(path("a.hdf5"), [&](hid_t file) {
        replace(file, "terminals", t.terminated, t.rows(), 1, 1);
        replace(file, "timeouts", std::vector<double>(t.truncated.begin(), t.truncated.end()), t.rows(), 1, 2);
    });
    auto u = data::load(path("a.hdf5"));
    EXPECT_EQ(u.terminated, t.terminated);
    EXPECT_EQ(u.truncated, t.truncated);
}

TEST_F(Files, DamagedD4rlFilesAreRefused) {
    const auto good = path("good.hdf5");
    data::save(cart_pole(), good);
    const auto size = static_cast<std::int64_t>(fs::file_size(good));
    auto bytes = [&](const std::string& expected, const std::function<void(const std::string&)>& damage) {
        auto bad = path("bad.hdf5");
        fs::copy_file(good, bad, fs::copy_options::overwrite_existing);
        damage(bad);
        refuses(bad, expected);
    };
    auto field = [&](const std::string& expected, const std::function<void(hid_t)>& damage) {
        bytes(expected, [&](const std::string& bad) { change(bad, damage); });
    };
    refuses(path("none.hdf5"), "none.hdf5: no such file");
    refuses(folder.string(), "holds no data/main_data.hdf5");
    bytes("no HDF5 file", [](const std::string& bad) { std::ofstream(bad, std::ios::trunc); });
    bytes("no HDF5 file",
          [](const std::string& bad) { std::ofstream(bad, std::ios::trunc) << "observations\n1 2 3\n"; });
    for (std::int64_t left : {size / 4, size / 2, size - 100, size - 1})
        bytes("damaged or cut short", [&](const std::string& bad) { fs::resize_file(bad, std::uintmax_t(left)); });
    bytes("no HDF5 file",
          [](const std::string& bad) { std::fstream(bad, std::ios::in | std::ios::out | std::ios::binary) << "XXXX"; });
    // The checksum of a piece sees what no rule on numbers could.
    bytes("field 'rewards': cannot be read: the file is damaged", [&](const std::string& bad) {
        std::uint64_t at = 0;
        change(bad, [&](hid_t file) {
            hdf5::Handle set(H5Dopen2(file, "rewards", H5P_DEFAULT), H5Dclose);
            haddr_t address = 0;
            hsize_t offset[1] = {0}, bytes_stored = 0;
            unsigned filters = 0;
            H5Dget_chunk_info_by_coord(set, offset, &filters, &address, &bytes_stored);
            at = address;
        });
        std::fstream file(bad, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(std::streamoff(at + 41));
        file.put(0x3e);
    });
    for (const char* name : {"observations", "actions", "rewards", "terminals", "timeouts"})
        field("field '" + std::string(name) + "': missing", [&](hid_t f) { H5Ldelete(f, name, H5P_DEFAULT); });

    field("field 'rewards', row 7: nan, expected a finite number", [&](hid_t f) { put(f, "rewards", 7, 0, nan); });
    field("field 'rewards', row 299: inf", [&](hid_t f) { put(f, "rewards", 299, 0, infinity); });
    field("field 'observations', row 12: nan", [&](hid_t f) { put(f, "observations", 12, 3, nan); });
    field("field 'next_observations', row 0: -inf", [&](hid_t f) { put(f, "next_observations", 0, 1, -infinity); });
    field("field 'actions', row 4: 2, expected an action from 0 to 1", [&](hid_t f) { put(f, "actions", 4, 0, 2); });
    field("field 'actions', row 4: -1, expected an action", [&](hid_t f) { put(f, "actions", 4, 0, -1); });
    field("field 'actions', row 3: nan", [&](hid_t f) {
        std::vector<double> actions(300, 0.5);
        actions[3] = nan;
        replace(f, "actions", actions, 300, 1, 2);
    });
    field("field 'observations': is a group", [&](hid_t f) {
        H5Ldelete(f, "observations", H5P_DEFAULT);
        hdf5::Handle(H5Gcreate2(f, "observations", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    });
    for (const char* name : {"rewards", "terminals"})
        field("field '" + std::string(name) + "': holds neither integers nor real numbers", [&](hid_t f) {
            H5Ldelete(f, name, H5P_DEFAULT);
            hsize_t rows = 300;
            hdf5::Handle space(H5Screate_simple(1, &rows, nullptr), H5Sclose), type(H5Tcopy(H5T_C_S1), H5Tclose);
            hdf5::Handle(H5Dcreate2(f, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
        });
    field("field 'rewards': 2 numbers a row, expected 1",
          [&](hid_t f) { replace(f, "rewards", std::vector<double>(600), 300, 2, 2); });
    field("field 'terminals': 2 flags a row, expected 1",
          [&](hid_t f) { replace(f, "terminals", std::vector<std::uint8_t>(600), 300, 2, 2); });
    auto shaped = [](hid_t f, const char* name, const std::vector<hsize_t>& shape) {
        H5Ldelete(f, name, H5P_DEFAULT);
        hdf5::Handle space(
            shape.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(int(shape.size()), shape.data(), nullptr),
            H5Sclose);
        hdf5::Handle how(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
        if (shape.size() == 2) {
            hsize_t piece[2] = {1, 1};
            H5Pset_chunk(how, 2, piece);
        }
        hdf5::Handle(H5Dcreate2(f, name, H5T_NATIVE_FLOAT, space, H5P_DEFAULT, how, H5P_DEFAULT), H5Dclose);
    };
    field("field 'observations': shape [10, 30, 4], expected [rows] or [rows, width]", [&](hid_t f) {
        shaped(f, "observations", {10, 30, 4});
    });
    field("field 'rewards': shape [], expected", [&](hid_t f) { shaped(f, "rewards", {}); });
    field("field 'observations': shape [1099511627776, 1000000], but only 0 bytes are stored", [&](hid_t f) {
        shaped(f, "observations", {hsize_t(1) << 40, 1000000});
    });
    field("field 'observations': shape [300, 0], expected rows of 1 number or more", [&](hid_t f) {
        shaped(f, "observations", {300, 0});
    });
    field("field 'actions': 299 rows, expected 300 as in 'observations'",
          [&](hid_t f) { replace(f, "actions", std::vector<std::int64_t>(299), 299, 1, 1); });
    field("field 'rewards': 301 rows, expected 300",
          [&](hid_t f) { replace(f, "rewards", std::vector<double>(301), 301, 1, 1); });
    field("field 'timeouts': 10 rows, expected 300",
          [&](hid_t f) { replace(f, "timeouts", std::vector<std::uint8_t>(10), 10, 1, 1); });
    field("field 'next_observations': 3 numbers a row, expected 4",
          [&](hid_t f) { replace(f, "next_observations", std::vector<float>(900), 300, 3, 2); });
    field("field 'terminals', row 9: 2.000000, expected 0 or 1", [&](hid_t f) {
        std::vector<double> flags(300);
        flags[9] = 2;
        replace(f, "terminals", flags, 300, 1, 1);
    });
    field("field 'timeouts', row 1: nan, expected 0 or 1", [&](hid_t f) {
        std::vector<double> flags(300);
        flags[1] = nan;
        replace(f, "timeouts", flags, 300, 1, 1);
    });
    field("attribute 'action_count': no whole number", [&](hid_t f) {
        H5Adelete(f, "action_count");
        hdf5::write_attribute(f, "action_count", std::string("two"));
    });
    field("field 'observations': no rows", [&](hid_t f) {
        for (const char* name : {"rewards", "terminals", "timeouts"})
            replace(f, name, std::vector<std::uint8_t>(), 0, 1, 1);
        replace(f, "actions", std::vector<std::int64_t>(), 0, 1, 1);
        replace(f, "observations", std::vector<float>(), 0, 4, 2);
    });
    field("no row of which the next state is known", [&](hid_t f) {
        H5Ldelete(f, "next_observations", H5P_DEFAULT);
        replace(f, "terminals", std::vector<std::uint8_t>(300), 300, 1, 1);
        replace(f, "timeouts", std::vector<std::uint8_t>(300, 1), 300, 1, 1);
    });
    EXPECT_GE(refused, 40);
    EXPECT_NO_THROW(data::load(good));
}

TEST_F(Files, DamagedMinariFoldersAreRefused) {
    const auto good = path("good"), file = path("bad") + "/data/main_data.hdf5";
    data::save_minari(pendulum(), good);
    auto damaged = [&](const std::string& expected, const std::function<void()>& damage) {
        fs::remove_all(path("bad"));
        fs::copy(good, path("bad"), fs::copy_options::recursive);
        damage();
        refuses(path("bad"), expected);
    };
    auto field = [&](const std::string& expected, const std::function<void(hid_t)>& damage) {
        damaged(expected, [&] { change(file, damage); });
    };
    auto metadata = [&](const std::string& expected, const std::function<void(nlohmann::json&)>& damage) {
        damaged(expected, [&] {
            auto json = nlohmann::json::parse(std::ifstream(path("bad/data/metadata.json")));
            damage(json);
            std::ofstream(path("bad/data/metadata.json")) << json.dump();
        });
    };
    damaged("cut short", [&] { fs::resize_file(file, fs::file_size(file) / 3); });
    damaged("metadata.json: is not JSON", [&] { std::ofstream(path("bad/data/metadata.json")) << "{"; });
    metadata("'episode_3': missing, though there should be 4", [](auto& json) { json["total_episodes"] = 4; });
    metadata("'episode_2': is one more than the 2", [](auto& json) { json["total_episodes"] = 2; });
    metadata("450 steps, expected 449", [](auto& json) { json["total_steps"] = 449; });
    field("'episode_1': missing, though", [](hid_t f) { H5Ldelete(f, "episode_1", H5P_DEFAULT); });
    field("'episode_0': missing", [](hid_t f) {
        for (const char* name : {"episode_0", "episode_1", "episode_2"}) H5Ldelete(f, name, H5P_DEFAULT);
    });
    field("'episode_1': is no group", [](hid_t f) { replace(f, "episode_1", std::vector<double>(3), 3, 1, 1); });
    field("'episode_1/rewards': missing", [](hid_t f) { H5Ldelete(f, "episode_1/rewards", H5P_DEFAULT); });
    field("'episode_2/rewards', row 5: nan", [](hid_t f) { put(f, "episode_2/rewards", 5, 0, std::nan("")); });
    field("'episode_1/observations', row 200: inf",
          [](hid_t f) { put(f, "episode_1/observations", 200, 2, HUGE_VAL); });
    field("'episode_1/observations': 200 rows, expected 201",
          [](hid_t f) { replace(f, "episode_1/observations", std::vector<double>(600), 200, 3, 2); });
    field("'episode_1/observations': 4 numbers a row, expected 3 as in episode_0",
          [](hid_t f) { replace(f, "episode_1/observations", std::vector<double>(804), 201, 4, 2); });
    field("'episode_0/observations': is a group", [](hid_t f) {
        H5Ldelete(f, "episode_0/observations", H5P_DEFAULT);
        hdf5::Handle(H5Gcreate2(f, "episode_0/observations", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    });
    field("'episode_0/terminations', row 17: 1, but the episode goes on", [](hid_t f) {
        std::vector<std::uint8_t> flags(200);
        flags[17] = 1;
        replace(f, "episode_0/terminations", flags, 200, 1, 1);
    });
    field("'episode_2/rewards': 50 rows, expected 49", [](hid_t f) {
        hdf5::Handle group(H5Gopen2(f, "episode_2", H5P_DEFAULT), H5Gclose);
        H5Adelete(group, "total_steps");
        hdf5::write_attribute(group, "total_steps", std::int64_t(49));
    });
    field("'episode_1/actions': whole numbers, expected what episode_0 has",
          [](hid_t f) { replace(f, "episode_1/actions", std::vector<std::int64_t>(200), 200, 1, 1); });
    EXPECT_GE(refused, 17);
    EXPECT_NO_THROW(data::load(good));
}

TEST_F(Files, NothingHalfWrittenIsLeft) {
    auto t = pendulum();
    data::save(t, path("good.hdf5"));
    auto broken = t;
    broken.reward[3] = std::nan("");
    EXPECT_THROW(data::save(broken, path("good.hdf5")), Error);
    EXPECT_EQ(data::load<double>(path("good.hdf5")).reward, t.reward);
    EXPECT_THROW(data::save(t, path("none/a.hdf5")), Error);
    EXPECT_THROW(data::save_minari(t, path("good.hdf5")), Error);
    t.next_state[3] += 1;  // is then not the next row's state
    EXPECT_THROW(data::save_minari(t, path("minari")), Error);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator{}), 1);
}

#else

TEST(Files, WithoutHdf5ALineSaysSo) {
    EXPECT_THROW(data::load("a.hdf5"), Error);
    EXPECT_THROW(data::save(cart_pole(), "a.hdf5"), Error);
    EXPECT_THROW(data::save_minari(cart_pole(), "a"), Error);
}

#endif

}  // namespace
}  // namespace roars::files_test
