// Filters on sequences and mappings.

#include <algorithm>

#include "engine/template/machine.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

Value number(std::size_t count) { return Value::of(static_cast<std::int64_t>(count)); }

/// Text is compared in lower case unless asked otherwise.
Value folded(Machine& m, const Value& value, bool caseSensitive) {
  return value.isString() && !caseSensitive ? m.text(lower(value.text())) : value;
}

/// The parts of "a,b" that `sort` goes by, for one item.
Value sortKey(Machine& m, const Value& item, const Value& attribute, bool caseSensitive) {
  std::vector<Value> keys;
  if (!attribute.isString()) {
    keys.push_back(folded(m, m.path(item, attribute), caseSensitive));
    return m.list(std::move(keys));
  }
  std::string_view rest = attribute.text();
  for (;;) {
    const std::size_t comma = rest.find(',');
    keys.push_back(folded(m, m.path(item, m.text(std::string(rest.substr(0, comma)))), caseSensitive));
    if (comma == std::string_view::npos) return m.list(std::move(keys));
    rest.remove_prefix(comma + 1);
  }
}

/// A stable merge sort of our own: std::stable_sort may run wild when an order is not strict (NaN), this one
/// only asks "is b smaller than a".
void sortPairs(Machine& m, std::vector<std::pair<Value, Value>>& pairs, bool reverse) {
  std::vector<std::pair<Value, Value>> spare(pairs.size());
  for (std::size_t width = 1; width < pairs.size(); width *= 2) {
    for (std::size_t low = 0; low < pairs.size(); low += 2 * width) {
      const std::size_t middle = std::min(low + width, pairs.size());
      const std::size_t high = std::min(low + 2 * width, pairs.size());
      std::size_t a = low;
      std::size_t b = middle;
      for (std::size_t out = low; out < high; ++out) {
        bool takeB = a == middle;
        if (a < middle && b < high) {
          takeB = reverse ? m.order(pairs[a].first, pairs[b].first) == -1
                          : m.order(pairs[b].first, pairs[a].first) == -1;
        }
        spare[out] = takeB ? pairs[b++] : pairs[a++];
      }
    }
    std::swap(pairs, spare);
  }
}

std::vector<Value> sorted(Machine& m, const std::vector<Value>& keys, const std::vector<Value>& items,
                          bool reverse) {
  std::vector<std::pair<Value, Value>> pairs;
  m.allocate(2 * items.size() * sizeof(pairs[0]));
  for (std::size_t i = 0; i < items.size(); ++i) pairs.emplace_back(keys[i], items[i]);
  sortPairs(m, pairs, reverse);
  std::vector<Value> out;
  for (const auto& [key, item] : pairs) out.push_back(item);
  return out;
}

Value sort(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "sort", args, {"reverse", "case_sensitive", "attribute"});
  const std::vector<Value> items = m.iterate(value);
  std::vector<Value> keys;
  for (const Value& item : items)
    keys.push_back(sortKey(m, item, bound.value(2, Value::none()), bound.flag(1)));
  return m.list(sorted(m, keys, items, bound.flag(0)));
}

Value dictSort(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "dictsort", args, {"case_sensitive", "by", "reverse"});
  const std::string by = bound[1] == nullptr ? "key" : m.str(*bound[1]);
  if (by != "key" && by != "value") m.fail("You can only sort by either \"key\" or \"value\"");
  if (value.isUndefined() && value.object != nullptr) m.fail(static_cast<Undefined*>(value.object)->message);
  if (!value.is(Type::kDict)) m.fail("'" + m.objectName(value) + "' has no attribute 'items'");
  std::vector<Value> keys;
  std::vector<Value> items;
  for (const auto& [key, item] : value.dict().entries) {
    keys.push_back(folded(m, by == "key" ? key : item, bound.flag(0)));
    items.push_back(m.tuple({key, item}));
  }
  return m.list(sorted(m, keys, items, bound.flag(2)));
}

Value unique(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "unique", args, {"case_sensitive", "attribute"});
  Dict* seen = m.dict();
  std::vector<Value> out;
  for (const Value& item : m.iterate(value)) {
    const Value key = folded(m, m.path(item, bound.value(1, Value::none())), bound.flag(0));
    if (m.lookup(*seen, key) != nullptr) continue;
    m.put(*seen, key, Value::none());
    out.push_back(item);
  }
  return m.generator(std::move(out));
}

Value extreme(Machine& m, const Value& value, Args& args, bool largest) {
  const Bound bound(m, largest ? "max" : "min", args, {"case_sensitive", "attribute"});
  const std::vector<Value> items = m.iterate(value);
  if (items.empty()) return m.undefined("No aggregated item, sequence was empty.");
  const auto keyOf = [&](const Value& item) {
    return folded(m, m.path(item, bound.value(1, Value::none())), bound.flag(0));
  };
  Value best = items[0];
  Value bestKey = keyOf(best);
  for (std::size_t i = 1; i < items.size(); ++i) {
    const Value key = keyOf(items[i]);
    if (m.order(key, bestKey, largest ? ">" : "<") != (largest ? 1 : -1)) continue;
    best = items[i];
    bestKey = key;
  }
  return best;
}

Value join(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "join", args, {"d", "attribute"});
  const std::string separator = bound[0] == nullptr ? "" : m.str(*bound[0]);
  const Value attribute = bound.value(1, Value::none());
  std::string out;
  bool first = true;
  for (const Value& item : m.iterate(value)) {
    if (!first) out += separator;
    out += m.str(m.path(item, attribute));
    m.checkText(out.size());
    first = false;
  }
  return m.text(std::move(out));
}

Value first(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "first", args, {});
  if (value.is(Type::kSequence) && value.sequence().kind == SequenceKind::kGenerator) {
    Sequence& source = value.sequence();
    if (source.position < source.items.size()) return source.items[source.position++];
    return m.undefined("No first item, sequence was empty.");
  }
  if (value.is(Type::kSequence) && !value.sequence().items.empty()) return value.sequence().items.front();
  if (value.isString() && !value.text().empty()) {
    return m.text(std::string(value.text().substr(0, characterAt(value.text(), 0).bytes)));
  }
  const std::vector<Value> items = m.iterate(value);
  return items.empty() ? m.undefined("No first item, sequence was empty.") : items.front();
}

Value last(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "last", args, {});
  if (value.isUndefined() ||
      (value.is(Type::kSequence) && value.sequence().kind == SequenceKind::kGenerator)) {
    if (!value.isUndefined()) m.fail("'generator' object is not reversible");
    return m.undefined("No last item, sequence was empty.");
  }
  if (value.is(Type::kSequence) && !value.sequence().items.empty()) return value.sequence().items.back();
  if (value.isString() && !value.text().empty()) return m.item(value, Value::of(std::int64_t{-1}));
  const std::vector<Value> items = m.iterate(value);
  return items.empty() ? m.undefined("No last item, sequence was empty.") : items.back();
}

Value reverse(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "reverse", args, {});
  if (value.isString()) return m.slice(value, Value::none(), Value::none(), Value::of(std::int64_t{-1}));
  if (value.isNumber() || value.isNone()) m.fail("argument must be iterable");
  std::vector<Value> items = m.iterate(value);
  std::reverse(items.begin(), items.end());
  return m.generator(std::move(items));
}

Value batch(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "batch", args, {"linecount", "fill_with"}, 1);
  const std::int64_t size = m.integerOf(*bound[0], "linecount");
  const Value fill = bound.value(1, Value::none());
  std::vector<Value> rows;
  std::vector<Value> row;
  for (const Value& item : m.iterate(value)) {
    if (static_cast<std::int64_t>(row.size()) == size) rows.push_back(m.list(std::exchange(row, {})));
    row.push_back(item);
  }
  if (!row.empty()) {
    if (!fill.isNone() && size > static_cast<std::int64_t>(row.size())) {
      if (size > 1'000'000) m.limit("a batch is too large");
      m.workItems(static_cast<std::size_t>(size));
      row.resize(static_cast<std::size_t>(size), fill);
    }
    rows.push_back(m.list(std::move(row)));
  }
  return m.generator(std::move(rows));
}

Value sliceColumns(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "slice", args, {"slices", "fill_with"}, 1);
  const std::int64_t slices = m.integerOf(*bound[0], "slices");
  if (slices == 0) m.fail("integer division or modulo by zero");
  const std::vector<Value> items = m.iterate(value);
  const auto length = static_cast<std::int64_t>(items.size());
  std::vector<Value> out;
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < slices; ++i) {
    m.step();
    const std::int64_t count = length / slices + (i < length % slices ? 1 : 0);
    std::vector<Value> column(items.begin() + at, items.begin() + at + count);
    at += count;
    if (bound[1] != nullptr && !bound[1]->isNone() && i >= length % slices) column.push_back(*bound[1]);
    out.push_back(m.list(std::move(column)));
  }
  return m.generator(std::move(out));
}

Value groupBy(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  const std::vector<Value> items = m.iterate(value);
  const auto plainKey = [&](const Value& item) { return m.path(item, *bound[0], bound[1]); };
  std::vector<std::pair<Value, Value>> pairs;
  for (const Value& item : items) pairs.emplace_back(folded(m, plainKey(item), bound.flag(2)), item);
  sortPairs(m, pairs, false);
  std::vector<Value> groups;
  for (std::size_t i = 0; i < pairs.size();) {
    std::vector<Value> members;
    std::size_t end = i;
    while (end < pairs.size() && m.equal(pairs[end].first, pairs[i].first))
      members.push_back(pairs[end++].second);
    if (end == i) members.push_back(pairs[end++].second);  // NaN equals nothing
    const Value key = bound.flag(2) ? pairs[i].first : plainKey(members.front());
    groups.push_back(m.list({key, m.list(std::move(members))}, SequenceKind::kGroup));
    i = end;
  }
  return m.list(std::move(groups));
}

Value sum(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "sum", args, {"attribute", "start"});
  Value total = bound.value(1, Value::of(std::int64_t{0}));
  if (total.isString()) m.fail("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : m.iterate(value)) {
    total = m.binary(Op::kAdd, total, m.path(item, bound.value(0, Value::none())));
  }
  return total;
}

Value map(Machine& m, const Value& value, Args& args) {
  std::vector<Value> out;
  if (!m.truth(value)) return m.generator({});
  if (args.positional.empty() && !args.named.empty()) {
    const Bound bound(m, "map", args, {"*attribute", "*default"}, 1);
    for (const Value& item : m.iterate(value)) out.push_back(m.path(item, *bound[0], bound[1]));
    return m.generator(std::move(out));
  }
  if (args.positional.empty()) m.fail("map requires a filter argument");
  const std::string name(m.textOf(args.positional.front(), "map's filter"));
  for (const Value& item : m.iterate(value)) {
    Args inner{{args.positional.begin() + 1, args.positional.end()}, args.named};
    out.push_back(m.filter(name, item, inner));
  }
  return m.generator(std::move(out));
}

/// select, reject and their …attr forms.
template <bool kKeep, bool kAttribute>
Value choose(Machine& m, const Value& value, Args& args) {
  if (!m.truth(value)) return m.generator({});
  std::size_t at = 0;
  Value attribute = Value::none();
  if (kAttribute) {
    if (args.positional.empty()) m.fail("Missing parameter for attribute name");
    attribute = args.positional[at++];
  }
  std::string test;
  const bool tested = at < args.positional.size();
  if (tested) test = m.textOf(args.positional[at++], "the name of a test");
  std::vector<Value> out;
  for (const Value& item : m.iterate(value)) {
    const Value subject = m.path(item, attribute);
    bool yes = false;
    if (tested) {
      Args inner{{args.positional.begin() + static_cast<std::ptrdiff_t>(at), args.positional.end()},
                 args.named};
      yes = m.test(test, subject, inner);
    } else {
      yes = m.truth(subject);
    }
    if (yes == kKeep) out.push_back(item);
  }
  return m.generator(std::move(out));
}

Value items(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "items", args, {});
  std::vector<Value> out;
  if (!value.isUndefined()) {
    if (!value.is(Type::kDict)) m.fail("Can only get item pairs from a mapping.");
    for (const auto& [key, item] : value.dict().entries) out.push_back(m.tuple({key, item}));
  }
  return m.generator(std::move(out));
}

Value fallback(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "default", args, {"default_value", "boolean"});
  if (value.isUndefined() || (bound.flag(1) && !m.truth(value)))
    return bound[0] != nullptr ? *bound[0] : m.text("");
  return value;
}

Value length(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "length", args, {});
  return number(m.length(value));
}

Value attr(Machine& m, const Value& value, Args& args) {
  const Bound bound(m, "attr", args, {"name"}, 1);
  const std::string_view name = m.textOf(*bound[0], "attribute name");
  if (value.is(Type::kDict) && value.dict().find(name) != nullptr) {
    // Only what getattr() finds, not the dict's entries.
    const Value bare = m.attribute(Value::of(m.dict()), name);
    if (bare.isUndefined())
      return m.undefined("'" + m.objectName(value) + "' has no attribute " + quotedText(name));
  }
  return m.attribute(value, name);
}

}  // namespace

const FilterTable& sequenceFilters() {
  static const FilterTable kFilters = {
      {"attr", attr},
      {"batch", batch},
      {"count", length},
      {"d", fallback},
      {"default", fallback},
      {"dictsort", dictSort},
      {"first", first},
      {"groupby", groupBy},
      {"items", items},
      {"join", join},
      {"last", last},
      {"length", length},
      {"list",
       [](Machine& m, const Value& v, Args& a) {
         const Bound bound(m, "list", a, {});
         return m.list(m.iterate(v));
       }},
      {"map", map},
      {"max", [](Machine& m, const Value& v, Args& a) { return extreme(m, v, a, true); }},
      {"min", [](Machine& m, const Value& v, Args& a) { return extreme(m, v, a, false); }},
      {"reject", choose<false, false>},
      {"rejectattr", choose<false, true>},
      {"reverse", reverse},
      {"select", choose<true, false>},
      {"selectattr", choose<true, true>},
      {"slice", sliceColumns},
      {"sort", sort},
      {"sum", sum},
      {"unique", unique},
  };
  return kFilters;
}

}  // namespace quern::engine::chat::jinja
