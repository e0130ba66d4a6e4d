#pragma once

#include <stdexcept>
#include <string>

namespace roars {

/// What a person got wrong: a flag, a file, a shape, a column. One line that says what was wrong, where, and what was
/// expected. Programs print it and end with exit code 2.
struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Throws Error with `message` unless `holds`. The message is only built when it is needed.
template <class Message>
void expect(bool holds, Message&& message) {
    if (!holds) {
        if constexpr (requires { message(); })
            throw Error(message());
        else
            throw Error(std::string(message));
    }
}

}  // namespace roars
