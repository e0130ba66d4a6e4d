#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/error.hpp"

namespace roars {

/// Named tensors in memory, with strings of metadata: what a learner writes itself into and reads itself from. Elements
/// are float, double or std::int64_t. SafeTensors is the file of them.
class Tensors {
public:
    struct Tensor {
        std::string dtype;
        std::vector<std::int64_t> shape;
        std::vector<char> bytes;
    };

    std::map<std::string, std::string> metadata;

    const std::map<std::string, Tensor>& tensors() const { return tensors_; }
    bool contains(const std::string& name) const { return tensors_.count(name) != 0; }

    template <class Element>
    void put(const std::string& name, const std::vector<std::int64_t>& shape, std::span<const Element> elements) {
        expect(name != "__metadata__", "a tensor cannot be named '__metadata__'");
        expect(static_cast<std::int64_t>(elements.size()) == count(shape), [&] {
            return where(name) + ": " + std::to_string(elements.size()) + " elements do not fill shape " + text(shape);
        });
        std::vector<char> bytes(elements.size_bytes());
        if (!bytes.empty()) std::memcpy(bytes.data(), elements.data(), bytes.size());
        tensors_[name] = {dtype_of<Element>(), shape, std::move(bytes)};
    }

    /// Copies the tensor `name`, which must have this shape and the type of Element, into `elements`.
    template <class Element>
    void get(const std::string& name, const std::vector<std::int64_t>& shape, std::span<Element> elements) const {
        const Tensor& tensor = find(name);
        expect(tensor.dtype == dtype_of<Element>(),
               [&] { return where(name) + ": dtype is " + tensor.dtype + ", expected " + dtype_of<Element>(); });
        expect(tensor.shape == shape,
               [&] { return where(name) + ": shape is " + text(tensor.shape) + ", expected " + text(shape); });
        expect(elements.size_bytes() == tensor.bytes.size(), [&] {
            return where(name) + ": holds " + std::to_string(tensor.bytes.size()) + " bytes, expected " +
                   std::to_string(elements.size_bytes());
        });
        if (!tensor.bytes.empty()) std::memcpy(elements.data(), tensor.bytes.data(), tensor.bytes.size());
    }

    const Tensor& find(const std::string& name) const {
        auto found = tensors_.find(name);
        expect(found != tensors_.end(), [&] { return where(name) + ": missing, expected among " + listing(); });
        return found->second;
    }

protected:
    template <class Element>
    static std::string dtype_of() {
        if constexpr (std::is_same_v<Element, float>)
            return "F32";
        else if constexpr (std::is_same_v<Element, double>)
            return "F64";
        else {
            static_assert(std::is_same_v<Element, std::int64_t>, "tensors: use float, double or std::int64_t");
            return "I64";
        }
    }

    /// Product of the extents; -1 if one is negative or the product exceeds 2^48.
    static std::int64_t count(const std::vector<std::int64_t>& shape) {
        std::int64_t product = 1;
        for (std::int64_t extent : shape) {
            if (extent < 0) return -1;
            if (extent == 0) return 0;
            if (product > (std::int64_t{1} << 48) / extent) return -1;
            product *= extent;
        }
        return product;
    }

    static std::string text(const std::vector<std::int64_t>& shape) {
        std::string joined = "[";
        for (std::size_t i = 0; i < shape.size(); ++i) joined += (i ? ", " : "") + std::to_string(shape[i]);
        return joined + "]";
    }

    std::string where(const std::string& name) const {
        return (path_.empty() ? "" : path_ + ": ") + "tensor '" + name + "'";
    }

    std::string listing() const {
        std::string names;
        std::size_t shown = 0;
        for (const auto& [name, tensor] : tensors_) {
            if (++shown > 8) return names + ", ... (" + std::to_string(tensors_.size()) + " tensors)";
            names += (names.empty() ? "" : ", ") + name;
        }
        return names.empty() ? "nothing: the file holds no tensors" : names;
    }

    std::string path_;  ///< where they were read, for messages
    std::map<std::string, Tensor> tensors_;
};

}  // namespace roars
