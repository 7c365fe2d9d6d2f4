#include "engine/grammar/json_schema_source.h"

#include "engine/base/check.h"
#include "engine/base/text.h"

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;

std::string escapedToken(std::string_view name) {
  std::string text;
  for (const char c : name) text += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return text;
}

/// The text that a fragment of a URI stands for.
std::string decodedFragment(std::string_view text) {
  const auto hex = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f') return (c | 32) - 'a' + 10;
    return -1;
  };
  std::string decoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool isEscape =
        text[at] == '%' && at + 2 < text.size() && hex(text[at + 1]) >= 0 && hex(text[at + 2]) >= 0;
    decoded += isEscape ? static_cast<char>(hex(text[at + 1]) * 16 + hex(text[at + 2])) : text[at];
    if (isEscape) at += 2;
  }
  return decoded;
}

std::string unescapedToken(std::string_view token) {
  std::string text;
  for (std::size_t at = 0; at < token.size(); ++at) {
    const bool isEscape =
        token[at] == '~' && at + 1 < token.size() && (token[at + 1] == '0' || token[at + 1] == '1');
    text += isEscape ? (token[at + 1] == '0' ? '~' : '/') : token[at];
    if (isEscape) ++at;
  }
  return text;
}

/// One step of a JSON pointer; nullptr: there is nothing.
const ordered_json* step(const ordered_json& from, const std::string& token) {
  if (from.is_object()) {
    const auto found = from.find(token);
    return found == from.end() ? nullptr : &*found;
  }
  if (!from.is_array() || token.empty() || token.size() > 6) return nullptr;
  if (token.find_first_not_of("0123456789") != std::string::npos) return nullptr;
  const std::size_t number = std::stoul(token);
  return number < from.size() ? &from[number] : nullptr;
}

const std::string* idOf(const ordered_json& value) {
  if (!value.is_object()) return nullptr;
  const auto id = value.find("$id");
  if (id == value.end() || !id->is_string()) return nullptr;
  const auto& text = id->get_ref<const std::string&>();
  return text.starts_with('#') ? nullptr : &text;
}

}  // namespace

SchemaSource::SchemaSource(const ordered_json& document) {
  add({&document, "", &document, ""});
  collectNames(document, "", &document);
}

SchemaId SchemaSource::add(Place place) {
  const auto [found, added] = ids_.emplace(place.value, static_cast<SchemaId>(places_.size()));
  if (added) places_.push_back(std::move(place));
  return found->second;
}

SchemaId SchemaSource::under(SchemaId parent, const ordered_json& value, const std::string& path) {
  const Place& from = places_[index(parent)];
  if (const auto known = ids_.find(&value); known != ids_.end()) return known->second;
  Place place{&value, from.made ? from.pointer : from.pointer + path, from.resource, from.resourcePointer,
              from.made};
  if (idOf(value) != nullptr && !place.made) {
    place.resource = &value;
    place.resourcePointer = place.pointer;
  }
  if (from.made && value.is_object() && value.contains(kSameAs)) {
    return static_cast<SchemaId>(value[kSameAs].get<std::uint32_t>());
  }
  return add(std::move(place));
}

SchemaId SchemaSource::child(SchemaId parent, const std::string& keyword) {
  return under(parent, value(parent).at(keyword), "/" + escapedToken(keyword));
}
SchemaId SchemaSource::child(SchemaId parent, const std::string& keyword, const std::string& name) {
  return under(parent, value(parent).at(keyword).at(name),
               "/" + escapedToken(keyword) + "/" + escapedToken(name));
}
SchemaId SchemaSource::child(SchemaId parent, const std::string& keyword, std::size_t number) {
  return under(parent, value(parent).at(keyword).at(number),
               "/" + escapedToken(keyword) + "/" + std::to_string(number));
}

SchemaId SchemaSource::make(ordered_json schema, SchemaId about) {
  made_.push_back(std::move(schema));
  const Place from = places_[index(about)];
  return add({&made_.back(), from.pointer, from.resource, from.resourcePointer, true});
}

/// What may be referred to by a name. Examples and the values of enum are data, whatever they look like.
void SchemaSource::collectNames(const ordered_json& at, const std::string& pointer,
                                const ordered_json* resource) {
  if (const std::string* id = idOf(at)) {
    resource = &at;
    std::string name = *id;
    if (name.ends_with('#')) name.pop_back();
    resources_.emplace(name, Named{&at, pointer});
  }
  if (at.is_object()) {
    for (const char* keyword : {"$anchor", "$dynamicAnchor", "$id"}) {
      const auto anchor = at.find(keyword);
      if (anchor == at.end() || !anchor->is_string()) continue;
      std::string name = anchor->get_ref<const std::string&>();
      if (keyword == std::string_view("$id")) {
        if (!name.starts_with('#')) continue;  // until 2019 an anchor was an $id with only a fragment
        name.erase(0, 1);
      }
      anchors_.emplace(std::pair(resource, name), Named{&at, pointer});
    }
  }
  if (!at.is_structured()) return;
  for (const auto& item : at.items()) {
    if (at.is_object()) {
      const std::string& key = item.key();
      if (key == "enum" || key == "const" || key == "default" || key == "examples" || key == "example")
        continue;
    }
    collectNames(item.value(), pointer + "/" + escapedToken(item.key()), resource);
  }
}

base::Result<SchemaId> SchemaSource::target(SchemaId of) {
  const Place from = places_[index(of)];
  const auto& reference = value(of).at("$ref").get_ref<const std::string&>();
  const std::size_t hash = std::min(reference.find('#'), reference.size());
  const std::string document = reference.substr(0, hash);
  Place at{from.resource, from.resourcePointer, from.resource, from.resourcePointer};
  if (!document.empty()) {
    const auto found = resources_.find(document);
    if (found == resources_.end()) {
      return refusal(of, "$ref",
                     "\"" + base::printable(reference, 200) +
                         "\" is outside of the schema and Quern fetches nothing. Copy it into $defs.");
    }
    at = {found->second.value, found->second.pointer, found->second.value, found->second.pointer};
  }
  const std::string fragment =
      decodedFragment(std::string_view(reference).substr(std::min(hash + 1, reference.size())));
  const auto missing = [&] {
    return malformed(of, "$ref",
                     "name a part of the schema; \"" + base::printable(reference, 200) + "\" does not");
  };
  if (!fragment.empty() && fragment[0] != '/') {
    const auto anchor = anchors_.find({at.resource, fragment});
    if (anchor == anchors_.end()) return missing();
    at.value = anchor->second.value;
    at.pointer = anchor->second.pointer;
    return add(std::move(at));
  }
  for (std::size_t begin = 1; begin <= fragment.size();) {
    const std::size_t end = std::min(fragment.find('/', begin), fragment.size());
    const std::string token = unescapedToken(std::string_view(fragment).substr(begin, end - begin));
    at.value = step(*at.value, token);
    if (at.value == nullptr) return missing();
    at.pointer += "/" + escapedToken(token);
    if (idOf(*at.value) != nullptr) {
      at.resource = at.value;
      at.resourcePointer = at.pointer;
    }
    begin = end + 1;
  }
  return add(std::move(at));
}

base::Result<void> SchemaSource::spend(std::size_t work) {
  // Some hundred nanoseconds each: half a second in all, of which ordinary schemas need a hundredth.
  constexpr std::size_t kMostWork = 1'500'000;
  spent_ += work;
  if (spent_ <= kMostWork) return base::ok();
  return base::Error(
      base::ErrorCode::kLimit,
      "The schema combines too many schemas with each other (allOf, anyOf, $ref). Make it smaller.");
}

std::string SchemaSource::where(SchemaId id, std::string_view keyword) const {
  const std::string& pointer = places_[index(id)].pointer;
  return "\"" + base::printable(keyword) + "\" at " +
         (pointer.empty() ? "the schema's root" : base::printable(pointer, 300));
}

base::Error SchemaSource::refusal(SchemaId id, std::string_view keyword, const std::string& why) const {
  return {base::ErrorCode::kUnsupported, where(id, keyword) + " cannot be enforced: " + why};
}

base::Error SchemaSource::malformed(SchemaId id, std::string_view keyword, const std::string& must) const {
  return {base::ErrorCode::kMalformed, where(id, keyword) + " must " + must + "."};
}

}  // namespace quern::engine::grammar
