// What may stand where a number or a string stands.

#include <algorithm>

#include "engine/grammar/json_format.h"
#include "engine/grammar/json_schema_plan.h"
#include "engine/grammar/regex.h"

namespace quern::engine::grammar {
namespace {

using Maybe = std::optional<ExprId>;

constexpr std::int64_t kMostRepetitions = 100'000;
constexpr char32_t kLastCharacter = 0x10FFFF;

/// All characters but these.
std::vector<CharacterRange> others(std::span<const CharacterRange> ranges) {
  std::vector<CharacterRange> left;
  char32_t next = 0;
  for (const CharacterRange& range : ranges) {
    if (range.first > next) left.push_back({next, range.first - 1});
    next = std::max<char32_t>(next, range.last + 1);
  }
  if (next <= kLastCharacter) left.push_back({next, kLastCharacter});
  return left;
}

}  // namespace

base::Result<Maybe> SchemaPlan::numbers(const Term& term, NumberLimits limits) {
  auto made = numberExpression(pieces_, limits);
  for (const char* keyword : {"multipleOf", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
    for (const Literal& literal : term) {
      const Json& keywords = source_.value(literal.schema);
      if (!keywords.is_object() || !keywords.contains(keyword)) continue;
      if (!made) return source_.refusal(literal.schema, keyword, made.error().message());
      if (*made) pieces_.builder().label(**made, source_.where(literal.schema, keyword));
      return made;
    }
  }
  return made;
}

base::Result<void> SchemaPlan::numberFormats(const StringLimits& limits, NumberLimits& number) {
  for (const auto& [format, at] : limits.formats) {
    const bool isShort = format == "int32";
    if (isShort || format == "int64") {
      number.atLeast({*Decimal::parse(isShort ? "-2147483648" : "-9223372036854775808"), false});
      number.atMost({*Decimal::parse(isShort ? "2147483647" : "9223372036854775807"), false});
    } else if (format != "float" && format != "double") {
      QUERN_TRY(schemaTexts_.format(format, at));
    }
  }
  return base::ok();
}

base::Result<Maybe> SchemaPlan::strings(const StringLimits& limits) {
  auto made = writeStrings(limits);
  if (!made || !*made) return made;
  const auto label = [&](SchemaId at, const char* keyword) {
    pieces_.builder().label(**made, source_.where(at, keyword));
  };
  if (limits.least > 0 || limits.most) {
    label(limits.lengthAt, limits.most ? "maxLength" : "minLength");
  } else if (!limits.patterns.empty()) {
    label(limits.patterns[0].at, "pattern");
  } else if (!limits.formats.empty()) {
    label(limits.formats[0].second, "format");
  }
  return made;
}

base::Result<Maybe> SchemaPlan::writeStrings(const StringLimits& limits) {
  for (const std::int64_t bound : {limits.least, limits.most.value_or(0)}) {
    if (bound > kMostRepetitions) {
      return source_.refusal(limits.lengthAt, bound == limits.least ? "minLength" : "maxLength",
                             "more than 100,000 characters cannot be counted.");
    }
  }
  if (limits.most && *limits.most < limits.least) return Maybe{};
  GrammarBuilder& builder = pieces_.builder();
  const auto quoted = [&](ExprId text) {
    return builder.sequence({builder.literal("\""), text, builder.literal("\"")});
  };
  const bool isLong = limits.least == 0 && !limits.most;
  const std::size_t rules = limits.patterns.size() + limits.formats.size() + limits.excluded.size();
  if (rules == 0) return Maybe(pieces_.string(limits.least, limits.most.value_or(kUnbounded)));
  if (isLong && rules == 1 && limits.formats.size() == 1) {
    if (const Maybe text = formatExpression(builder, limits.formats[0].first)) return Maybe(quoted(*text));
  }
  if (isLong && rules == 1 && limits.patterns.size() == 1 && !limits.patterns[0].negated) {
    QUERN_TRY(checkPattern(limits.patterns[0]));
    RegexOptions options;
    options.whole = false;
    options.character = [&](GrammarBuilder&, std::span<const CharacterRange> ranges, bool negated) {
      return negated ? pieces_.character(others(ranges)) : pieces_.character(ranges);
    };
    const auto text = regexExpression(builder, limits.patterns[0].text, options);
    if (text) return Maybe(quoted(*text));
    return source_.refusal(limits.patterns[0].at, "pattern", text.error().message());
  }
  QUERN_ASSIGN(const TextLanguage language, texts(limits));
  if (language.empty()) return Maybe{};
  return Maybe(quoted(language.write(builder, [&](auto ranges) { return pieces_.character(ranges); })));
}

/// In a builder of its own, so that an error of its limits can name the pattern.
base::Result<void> SchemaPlan::checkPattern(const StringLimits::Pattern& pattern) const {
  GrammarBuilder builder;
  RegexOptions options;
  options.whole = false;
  const auto text = regexExpression(builder, pattern.text, options);
  if (!text) return source_.refusal(pattern.at, "pattern", text.error().message());
  const auto grammar = std::move(builder).finish(*text);
  if (!grammar) return source_.refusal(pattern.at, "pattern", grammar.error().message());
  return base::ok();
}

base::Result<TextLanguage> SchemaPlan::texts(const StringLimits& limits) {
  TextLanguage language = TextLanguage::anything();
  const auto restrict = [&](SchemaId at, const char* keyword,
                            const TextLanguage& more) -> base::Result<void> {
    auto both = language.intersected(more);
    if (!both) {
      return source_.refusal(
          at, keyword,
          "together with what else is said of the same string it is too much. " + both.error().message());
    }
    language = *std::move(both);
    return source_.spend(more.size() + language.size());
  };
  for (const auto& [format, at] : limits.formats) {
    QUERN_ASSIGN(const TextLanguage* texts, schemaTexts_.format(format, at));
    QUERN_TRY(restrict(at, "format", *texts));
  }
  for (const StringLimits::Pattern& pattern : limits.patterns) {
    QUERN_ASSIGN(const TextLanguage* texts, schemaTexts_.pattern(pattern.text, pattern.at, "pattern"));
    QUERN_TRY(restrict(pattern.at, "pattern", pattern.negated ? texts->complement() : *texts));
  }
  if (!limits.excluded.empty()) {
    QUERN_TRY(restrict(limits.lengthAt, "not", TextLanguage::words(limits.excluded).complement()));
  }
  if (limits.least > 0 || limits.most) {
    const char* keyword = limits.most ? "maxLength" : "minLength";
    const auto lengths = TextLanguage::lengths(limits.least, limits.most);
    if (!lengths) {
      return source_.refusal(
          limits.lengthAt, keyword,
          "beside pattern, format or not so many characters cannot be counted. " + lengths.error().message());
    }
    QUERN_TRY(restrict(limits.lengthAt, keyword, *lengths));
  }
  return language;
}

/// The strings that satisfy a schema; for propertyNames.
base::Result<TextLanguage> SchemaPlan::textsOf(SchemaId schema) {
  QUERN_ASSIGN(const Terms terms, terms_.of(conjunctionOf(source_, {schema})));
  TextLanguage none = TextLanguage::anything();  // of the texts that no term has
  for (const Term& term : terms) {
    QUERN_ASSIGN(const ValueLimits limits, limitsOf(source_, values_, term));
    TextLanguage some = TextLanguage::words({});
    if (limits.values) {
      std::vector<std::string> words;
      for (const Json& value : *limits.values) {
        if (value.is_string()) words.push_back(value.get<std::string>());
      }
      some = TextLanguage::words(words);
    } else if ((limits.types & kStringType) != 0) {
      QUERN_ASSIGN(some, texts(limits.string));
    }
    QUERN_ASSIGN(none, none.intersected(some.complement()));
    QUERN_TRY(source_.spend(some.size() + none.size()));
  }
  return none.complement();
}

}  // namespace quern::engine::grammar
