// The functions that every template finds: jinja2's globals and the two that transformers adds.

#include <locale.h>
#include <ctime>

#include <array>
#include <cstdio>

#include "engine/template/machine.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

/// The local time that the template sees.
std::tm timeOf(Machine& m) {
  std::tm when{};
  const std::string& now = m.now();
  if (now.empty()) {
    const std::time_t seconds = std::time(nullptr);
    localtime_r(&seconds, &when);
    return when;
  }
  const char* end = strptime(now.c_str(), "%Y-%m-%d %H:%M:%S", &when);
  if (end == nullptr || *end != '\0') {
    throw Failure{base::ErrorCode::kInvalidArgument,
                  "The time " + quotedText(now) + " must look like \"2026-03-07 12:30:05\"."};
  }
  // Noon in UTC, so that no clock change moves the day whose weekday is looked up.
  std::tm noon = when;
  noon.tm_hour = 12;
  timegm(&noon);
  when.tm_wday = noon.tm_wday;
  when.tm_yday = noon.tm_yday;
  return when;
}

Value strftimeNow(Machine& m, Args& args) {
  const Bound bound(m, "strftime_now", args, {"format"}, 1);
  const std::string_view given = m.textOf(*bound[0], "strftime() argument 1");
  if (given.empty()) return m.text("");
  if (given.size() > 1024) m.limit("a time format is too long");
  const std::tm when = timeOf(m);
  static const locale_t kPlain = newlocale(LC_ALL_MASK, "C", nullptr);
  std::string out;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i] != '%' || i + 1 == given.size()) {
      out += given[i];
      continue;
    }
    std::string directive = "%";
    directive += given[++i];
    if ((given[i] == '-' || given[i] == '_' || given[i] == '0' || given[i] == '^' || given[i] == '#') &&
        i + 1 < given.size()) {
      directive += given[++i];
    }
    const char last = directive.back();
    if (last == 'f') {
      out += "000000";
    } else if (last == 'z' || last == 'Z') {
      continue;  // a time without a zone
    } else if (last == '\0') {
      m.fail("embedded null character");
    } else {
      std::array<char, 256> buffer{};
      const std::size_t size = strftime_l(buffer.data(), buffer.size(), directive.c_str(), &when, kPlain);
      out.append(buffer.data(), size);
    }
  }
  return m.text(std::move(out));
}

Value makeRange(Machine& m, Args& args) {
  const Bound bound(m, "range", args, {"start", "stop", "step"}, 1);
  if (!args.named.empty()) m.fail("range() takes no keyword arguments");
  const auto number = [&](std::size_t i, std::int64_t fallback) {
    if (bound[i] != nullptr && bound[i]->isUndefined() && bound[i]->object != nullptr) {
      m.fail("'Undefined' object cannot be interpreted as an integer");
    }
    return bound[i] == nullptr ? fallback : m.integerOf(*bound[i], "range()");
  };
  const std::int64_t first = number(0, 0);
  return bound[1] == nullptr ? m.range(0, first, 1) : m.range(first, number(1, 0), number(2, 1));
}

/// dict(mapping or pairs, name=value…)
Dict* makeDict(Machine& m, Args& args) {
  Dict* made = m.dict();
  if (args.positional.size() > 1) m.fail("dict expected at most 1 argument");
  if (!args.positional.empty()) {
    const Value& from = args.positional.front();
    if (from.is(Type::kDict)) {
      for (const auto& [key, value] : from.dict().entries) m.put(*made, key, value);
    } else {
      for (const Value& pair : m.iterate(from)) {
        const std::vector<Value> parts = m.iterate(pair);
        if (parts.size() != 2) m.fail("dictionary update sequence element has a length that is not 2");
        m.put(*made, parts[0], parts[1]);
      }
    }
  }
  for (const auto& [name, value] : args.named) m.put(*made, m.text(name), value);
  return made;
}

Value makeNamespace(Machine& m, Args& args) {
  auto* made = m.make<Namespace>();
  made->attributes = makeDict(m, args);
  return Value::of(made);
}

/// cycler(a, b, …): `next()`, `current`, `reset()`.
Value makeCycler(Machine& m, Args& args) {
  if (args.positional.empty()) m.fail("at least one item has to be provided");
  const Value made =
      m.function("Cycler", [&m](Args&) -> Value { m.fail("'Cycler' object is not callable"); });
  Callable* cycler = &made.callable();
  const Value items = m.list(args.positional);
  const Value position = m.list({Value::of(std::int64_t{0})});
  const auto move = [cycler, items, position](std::int64_t to) {
    const auto& all = items.sequence().items;
    position.sequence().items[0] = Value::of(to % static_cast<std::int64_t>(all.size()));
    cycler->members["current"] = all[static_cast<std::size_t>(position.sequence().items[0].integer)];
  };
  move(0);
  cycler->members["next"] = m.function("next", [cycler, position, move](Args&) {
    const Value now = cycler->members["current"];
    move(position.sequence().items[0].integer + 1);
    return now;
  });
  cycler->members["reset"] = m.function("reset", [move](Args&) {
    move(0);
    return Value::none();
  });
  return made;
}

/// joiner(sep): nothing the first time, `sep` ever after.
Value makeJoiner(Machine& m, Args& args) {
  const Bound bound(m, "joiner", args, {"sep"});
  const Value separator = bound.value(0, m.text(", "));
  const Value used = m.list({Value::of(false)});
  const Value empty = m.text("");
  return m.function("Joiner", [separator, used, empty](Args&) {
    const bool before = std::exchange(used.sequence().items[0].boolean, true);
    return before ? separator : empty;
  });
}

Value raise(Machine& m, Args& args) {
  const Bound bound(m, "raise_exception", args, {"message"}, 1);
  throw Failure{base::ErrorCode::kInvalidArgument, m.str(*bound[0]), m.line()};
}

}  // namespace

std::optional<Value> globalNamed(Machine& machine, std::string_view name) {
  using Function = Value (*)(Machine&, Args&);
  static constexpr std::pair<std::string_view, Function> kGlobals[] = {
      {"range", makeRange},
      {"dict", [](Machine& m, Args& args) { return Value::of(makeDict(m, args)); }},
      {"namespace", makeNamespace},
      {"cycler", makeCycler},
      {"joiner", makeJoiner},
      {"raise_exception", raise},
      {"strftime_now", strftimeNow},
  };
  for (const auto& [known, function] : kGlobals) {
    if (known != name) continue;
    return machine.function(std::string(name),
                            [&machine, call = function](Args& args) { return call(machine, args); });
  }
  return std::nullopt;
}

}  // namespace quern::engine::chat::jinja
