#pragma once

/// What the data sets' files need of the HDF5 library, behind ROARS_HDF5, which the build defines where it found it.
#if defined(ROARS_HDF5)

#include <hdf5.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/error.hpp"

namespace roars::data::hdf5 {

/// HDF5 prints a stack of its own for every error; ours say it in a line.
class Quiet {
public:
    Quiet() {
        H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    }
    ~Quiet() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;

private:
    H5E_auto2_t function_ = nullptr;
    void* data_ = nullptr;
};

/// An identifier that is closed at the end of its scope; below 0 where there is none.
class Handle {
public:
    Handle() = default;
    Handle(hid_t id, herr_t (*closes)(hid_t)) : id_(id), close_(closes) {}
    Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
    Handle& operator=(Handle&& other) noexcept {
        std::swap(id_, other.id_), std::swap(close_, other.close_);
        return *this;
    }
    ~Handle() { close(); }

    operator hid_t() const { return id_; }
    bool valid() const { return id_ >= 0; }
    /// False if what was written could not be brought to the disk.
    bool close() { return id_ < 0 || close_(std::exchange(id_, -1)) >= 0; }

private:
    hid_t id_ = -1;
    herr_t (*close_)(hid_t) = nullptr;
};

template <class T>
hid_t native() {
    if constexpr (std::is_same_v<T, float>)
        return H5T_NATIVE_FLOAT;
    else if constexpr (std::is_same_v<T, double>)
        return H5T_NATIVE_DOUBLE;
    else if constexpr (std::is_same_v<T, std::uint8_t>)
        return H5T_NATIVE_UINT8;
    else
        return H5T_NATIVE_INT64;
}

/// h5py's bool: an enumeration of FALSE = 0 and TRUE = 1 in 8 bits.
inline Handle boolean() {
    Handle type(H5Tenum_create(H5T_NATIVE_INT8), H5Tclose);
    std::int8_t no = 0, yes = 1;
    H5Tenum_insert(type, "FALSE", &no);
    H5Tenum_insert(type, "TRUE", &yes);
    return type;
}
inline constexpr std::size_t longest_text = 32768;  ///< an attribute's, in bytes

/// What a data set of a file holds, as rows.
template <class T>
struct Table {
    std::int64_t rows = 0, width = 1;
    bool whole_numbers = false;  ///< the file's own type is an integer, one number a row
    std::vector<T> values;
};

/// A place in a file that is read: the file itself or a group. Errors name the file, the field and what is wrong.
class Place {
public:
    Place(const Handle& at, std::string file, std::string prefix = "")
        : at_(at), file_(std::move(file)), prefix_(std::move(prefix)) {}

    bool has(const std::string& name) const { return H5Lexists(at_, name.c_str(), H5P_DEFAULT) > 0; }
    bool has_group(const std::string& name) const { return has(name) && kind(name) == H5O_TYPE_GROUP; }
    std::string field(const std::string& name) const { return file_ + ": field '" + prefix_ + name + "'"; }

    Handle group(const std::string& name) const {
        expect(has(name), [&] { return field(name) + ": missing"; });
        expect(kind(name) == H5O_TYPE_GROUP, [&] { return field(name) + ": is no group, expected one"; });
        Handle handle(H5Gopen2(at_, name.c_str(), H5P_DEFAULT), H5Gclose);
        expect(handle.valid(), [&] { return field(name) + ": cannot be opened: the file is damaged"; });
        return handle;
    }

    /// Real numbers or integers of any width, in one or two dimensions.
    template <class Real>
    Table<Real> numbers(const std::string& name) const {
        return read<Real>(name, false);
    }
    /// Flags, one a row: booleans, or numbers that are 0 or 1.
    std::vector<std::uint8_t> flags(const std::string& name) const {
        auto table = read<double>(name, true);
        expect(table.width == 1,
               [&] { return field(name) + ": " + std::to_string(table.width) + " flags a row, expected 1"; });
        std::vector<std::uint8_t> flags(table.values.size());
        for (std::size_t i = 0; i < flags.size(); ++i) {
            double value = table.values[i];
            expect(value == 0 || value == 1, [&] {
                return field(name) + ", row " + std::to_string(i) + ": " + std::to_string(value) + ", expected 0 or 1";
            });
            flags[i] = value == 1;
        }
        return flags;
    }

    /// An integer attribute, or `otherwise` where there is none.
    std::int64_t attribute(const std::string& name, std::int64_t otherwise) const {
        if (H5Aexists(at_, name.c_str()) <= 0) return otherwise;
        Handle attribute(H5Aopen(at_, name.c_str(), H5P_DEFAULT), H5Aclose);
        Handle type(attribute.valid() ? H5Aget_type(attribute) : -1, H5Tclose);
        Handle space(attribute.valid() ? H5Aget_space(attribute) : -1, H5Sclose);
        std::int64_t value = otherwise;
        expect(type.valid() && H5Tget_class(type) == H5T_INTEGER && H5Sget_simple_extent_npoints(space) == 1 &&
                   H5Aread(attribute, H5T_NATIVE_INT64, &value) >= 0,
               [&] { return file_ + ": attribute '" + prefix_ + name + "': no whole number"; });
        return value;
    }
    /// All attributes that are one piece of text of a fixed size. (Of a size that varies, HDF5 1.10 crashes on damage.)
    std::map<std::string, std::string> texts() const {
        std::vector<std::string> names;
        H5Aiterate2(
            at_, H5_INDEX_NAME, H5_ITER_INC, nullptr,
            [](hid_t, const char* name, const H5A_info_t*, void* data) -> herr_t {
                static_cast<std::vector<std::string>*>(data)->push_back(name);
                return 0;
            },
            &names);
        std::map<std::string, std::string> found;
        for (const auto& name : names) {
            Handle attribute(H5Aopen(at_, name.c_str(), H5P_DEFAULT), H5Aclose);
            if (!attribute.valid()) continue;
            Handle type(H5Aget_type(attribute), H5Tclose), space(H5Aget_space(attribute), H5Sclose);
            if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 ||
                H5Sget_simple_extent_npoints(space) != 1)
                continue;
            const std::size_t size = H5Tget_size(type);
            std::string words(size <= longest_text ? size + 1 : 0, '\0');
            if (words.empty() || H5Aread(attribute, type, words.data()) < 0) continue;
            found[name] = words.c_str();
        }
        return found;
    }

private:
    H5O_type_t kind(const std::string& name) const {
        Handle object(H5Oopen(at_, name.c_str(), H5P_DEFAULT), H5Oclose);
        switch (object.valid() ? H5Iget_type(object) : H5I_BADID) {
            case H5I_GROUP:
                return H5O_TYPE_GROUP;
            case H5I_DATASET:
                return H5O_TYPE_DATASET;
            default:
                return H5O_TYPE_UNKNOWN;
        }
    }

    static std::string text(std::span<const hsize_t> shape) {
        std::string words;
        for (hsize_t each : shape) words += (words.empty() ? "" : ", ") + std::to_string(each);
        return "[" + words + "]";
    }

    template <class T>
    Table<T> read(const std::string& name, bool flags) const {
        expect(has(name), [&] { return field(name) + ": missing"; });
        expect(kind(name) == H5O_TYPE_DATASET, [&] {
            return field(name) + (kind(name) == H5O_TYPE_GROUP ? ": is a group, expected numbers in rows"
                                                               : ": cannot be opened: the file is damaged");
        });
        Handle set(H5Dopen2(at_, name.c_str(), H5P_DEFAULT), H5Dclose);
        Handle type(set.valid() ? H5Dget_type(set) : -1, H5Tclose),
            space(set.valid() ? H5Dget_space(set) : -1, H5Sclose);
        expect(type.valid() && space.valid(), [&] { return field(name) + ": cannot be opened: the file is damaged"; });
        const H5T_class_t sort = H5Tget_class(type);
        expect(sort == H5T_FLOAT || sort == H5T_INTEGER || (flags && sort == H5T_ENUM), [&] {
            return field(name) + ": holds neither integers nor real numbers, expected " + (flags ? "flags" : "numbers");
        });
        const int rank = H5Sget_simple_extent_ndims(space);
        std::vector<hsize_t> shape(static_cast<std::size_t>(std::max(rank, 0)));
        if (rank > 0) H5Sget_simple_extent_dims(space, shape.data(), nullptr);
        expect(rank == 1 || rank == 2,
               [&] { return field(name) + ": shape " + text(shape) + ", expected [rows] or [rows, width]"; });

        Table<T> table;
        const hsize_t width = rank == 2 ? shape[1] : 1;
        expect(width > 0 && width <= hsize_t(1) << 24 && shape[0] <= hsize_t(1) << 48,
               [&] { return field(name) + ": shape " + text(shape) + ", expected rows of 1 number or more"; });
        expect(H5Tget_size(type) <= 16 && H5Tget_precision(type) == 8 * H5Tget_size(type),
               [&] { return field(name) + ": numbers of an odd size: the file is damaged"; });
        expect_stored(name, set, double(shape[0]) * double(width), H5Tget_size(type), text(shape));
        table.rows = static_cast<std::int64_t>(shape[0]);
        table.width = static_cast<std::int64_t>(width);
        table.whole_numbers = sort == H5T_INTEGER && rank == 1;
        table.values.resize(static_cast<std::size_t>(shape[0] * width));
        // Enumerations are read as what they are stored as: not every HDF5 turns them into real numbers.
        bool read = true;
        if (sort == H5T_ENUM) {
            std::vector<std::int8_t> stored(table.values.size());
            Handle memory = boolean();
            read = H5Tget_size(type) == 1 && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, stored.data()) >= 0;
            std::copy(stored.begin(), stored.end(), table.values.begin());
        } else if (!table.values.empty()) {
            read = H5Dread(set, native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, table.values.data()) >= 0;
        }
        expect(read, [&] { return field(name) + ": cannot be read: the file is damaged or cut short"; });
        return table;
    }

    /// A damaged file may claim any shape; HDF5 would read past the end of what is stored. In pieces (chunks) nothing
    /// compresses numbers to less than a thousandth; otherwise all bytes must be there, in each piece.
    void expect_stored(const std::string& name, hid_t set, double numbers, std::size_t size,
                       const std::string& shape) const {
        Handle how(H5Dget_create_plist(set), H5Pclose);
        const bool pieces = H5Pget_layout(how) == H5D_CHUNKED;
        expect(numbers * double(size) <= (pieces ? 2048.0 : 1.0) * double(H5Dget_storage_size(set)), [&] {
            return field(name) + ": shape " + shape + ", but only " + std::to_string(H5Dget_storage_size(set)) +
                   " bytes are stored";
        });
        if (!pieces || numbers == 0) return;
        hsize_t piece[2] = {1, 1};
        double bytes = double(size);
        bool sound = H5Pget_chunk(how, 2, piece) >= 1, compressed = false;
        for (hsize_t each : piece) bytes *= double(each);
        for (int i = 0; i < H5Pget_nfilters(how); ++i) {
            std::size_t values = 0;
            unsigned flags = 0, config = 0;
            H5Z_filter_t filter = H5Pget_filter2(how, unsigned(i), &flags, &values, nullptr, 0, nullptr, &config);
            if (filter == H5Z_FILTER_FLETCHER32)
                bytes += 4;
            else if (filter != H5Z_FILTER_SHUFFLE)
                compressed = true;
        }
        Handle space(H5Dget_space(set), H5Sclose);
        hsize_t count = 0;
        sound = sound && H5Dget_num_chunks(set, space, &count) >= 0;
        for (hsize_t i = 0; i < count && sound; ++i) {
            hsize_t offset[2] = {0, 0}, stored = 0;
            unsigned skipped = 0;
            haddr_t address = 0;
            sound = H5Dget_chunk_info(set, space, i, offset, &skipped, &address, &stored) >= 0 &&
                    (compressed ? bytes <= 2048.0 * double(stored) : skipped != 0 || bytes == double(stored));
        }
        expect(sound,
               [&] { return field(name) + ": its pieces are not of the size they should be: the file is damaged"; });
    }

    const Handle& at_;
    std::string file_, prefix_;
};

/// Opens a file to read. Errors: none there, not HDF5, cut short.
inline Handle open(const std::string& path) {
    const htri_t sort = H5Fis_hdf5(path.c_str());
    expect(sort >= 0, [&] { return path + ": cannot be read, expected an HDF5 file"; });
    expect(sort > 0, [&] { return path + ": is no HDF5 file, or its beginning is damaged"; });
    Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    expect(file.valid(), [&] { return path + ": cannot be opened: the file is damaged or cut short"; });
    return file;
}

/// Begins a file in the layout of HDF5 1.10, in which the file's own structure has checksums too. Not valid where it
/// cannot be written.
inline Handle create(const std::string& path) {
    Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 2)
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
#else
    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
#endif
    return Handle(H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, access), H5Fclose);
}

/// Numbers as rows, with a checksum for each piece of them.
template <class T>
bool write(hid_t at, const char* name, std::span<const T> values, std::int64_t rows, std::int64_t width, int rank,
           hid_t stored, hid_t in_memory) {
    hsize_t shape[2] = {static_cast<hsize_t>(rows), static_cast<hsize_t>(width)};
    hsize_t piece[2] = {std::clamp<hsize_t>(shape[0], 1, 16384), shape[1]};
    Handle space(H5Screate_simple(rank, shape, nullptr), H5Sclose);
    Handle how(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    if (H5Pset_chunk(how, rank, piece) < 0 || H5Pset_fletcher32(how) < 0) return false;
    Handle set(H5Dcreate2(at, name, stored, space, H5P_DEFAULT, how, H5P_DEFAULT), H5Dclose);
    return set.valid() && H5Dwrite(set, in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0 && set.close();
}
template <class T>
bool write(hid_t at, const char* name, std::span<const T> values, std::int64_t rows, std::int64_t width, int rank = 2) {
    return write(at, name, values, rows, width, rank, native<T>(), native<T>());
}
inline bool write_flags(hid_t at, const char* name, std::span<const std::uint8_t> flags) {
    Handle type = boolean();
    return write(at, name, flags, std::ssize(flags), 1, 1, type, type);
}
inline bool write_attribute(hid_t at, const std::string& name, std::int64_t value) {
    Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    Handle attribute(H5Acreate2(at, name.c_str(), H5T_NATIVE_INT64, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    return attribute.valid() && H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0;
}
inline bool write_attribute(hid_t at, const std::string& name, const std::string& value) {
    Handle space(H5Screate(H5S_SCALAR), H5Sclose), type(H5Tcopy(H5T_C_S1), H5Tclose);
    const std::string words = value.substr(0, longest_text);
    if (H5Tset_size(type, words.size() + 1) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0) return false;
    Handle attribute(H5Acreate2(at, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    return attribute.valid() && H5Awrite(attribute, type, words.c_str()) >= 0;
}

}  // namespace roars::data::hdf5

#endif
