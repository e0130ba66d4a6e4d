#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roars/error.hpp"

namespace roars::tasks {

/// Characters as tokens for a small transformer. Token 0 ends a text and pads what follows; character i of the
/// alphabet is token i + 1.
class Vocabulary {
public:
    static constexpr std::int32_t end = 0;

    /// `alphabet`: every character that may occur, each once.
    explicit Vocabulary(std::string_view alphabet) : alphabet_(alphabet) {
        token_of_.fill(absent);
        for (std::size_t i = 0; i < alphabet_.size(); ++i) {
            auto& token = token_of_[static_cast<unsigned char>(alphabet_[i])];
            expect(token == absent, [&] {
                return "vocabulary: character " + quoted(alphabet_[i]) + " occurs twice in the alphabet, at " +
                       std::to_string(token - 1) + " and " + std::to_string(i);
            });
            token = static_cast<std::int32_t>(i) + 1;
        }
    }

    /// Digits, operators (: divides), brackets, power, fraction bar, point and equals sign.
    static Vocabulary arithmetic() { return Vocabulary("0123456789+-*:()^/.="); }

    /// Number of tokens, the end symbol among them.
    std::int32_t size() const { return static_cast<std::int32_t>(alphabet_.size()) + 1; }
    std::string_view alphabet() const { return alphabet_; }

    /// The tokens of `text`, without an end symbol. Error names the character and its position (from 0).
    std::vector<std::int32_t> encode(std::string_view text) const {
        std::vector<std::int32_t> tokens;
        tokens.reserve(text.size() + 1);
        for (std::size_t i = 0; i < text.size(); ++i) {
            auto token = token_of_[static_cast<unsigned char>(text[i])];
            expect(token != absent, [&] {
                return "vocabulary: unknown character " + quoted(text[i]) + " at position " + std::to_string(i) +
                       " of \"" + std::string(text) + "\", expected one of " + alphabet_;
            });
            tokens.push_back(token);
        }
        return tokens;
    }

    /// The text up to the first end symbol. Error for a token outside the vocabulary, with its position.
    std::string decode(std::span<const std::int32_t> tokens) const {
        std::string text;
        for (std::size_t i = 0; i < tokens.size() && tokens[i] != end; ++i) {
            expect(contains(tokens[i]), [&] {
                return "vocabulary: unknown token " + std::to_string(tokens[i]) + " at position " + std::to_string(i) +
                       ", expected 0 to " + std::to_string(size() - 1);
            });
            text.push_back(alphabet_[static_cast<std::size_t>(tokens[i]) - 1]);
        }
        return text;
    }

    bool contains(std::int32_t token) const { return token >= 0 && token < size(); }

private:
    static constexpr std::int32_t absent = -1;

    /// 'x', or the byte's number for one that does not print.
    static std::string quoted(char character) {
        auto byte = static_cast<unsigned char>(character);
        if (byte < 0x20 || byte > 0x7e) return "of byte " + std::to_string(byte);
        return std::string{'\'', character, '\''};
    }

    std::string alphabet_;
    std::array<std::int32_t, 256> token_of_{};
};

}  // namespace roars::tasks
