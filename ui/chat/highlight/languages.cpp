#include "ui/chat/highlight/languages.h"

namespace quern::ui {
namespace {

QSet<QString> words(const char* text) {
  const QStringList list = QString::fromLatin1(text).split(u' ', Qt::SkipEmptyParts);
  return {list.begin(), list.end()};
}

QStringList list(const char* text) { return QString::fromLatin1(text).split(u' ', Qt::SkipEmptyParts); }

std::vector<Language> make() {
  const QString c = QStringLiteral("/*");
  const QString e = QStringLiteral("*/");
  const QString both = QStringLiteral("\"'");
  return {
      {QStringLiteral("Code"),
       {},
       words("if else for while do return break continue function def class struct import from new "
             "true false null nil try catch finally throw switch case default var let const in end then"),
       {},
       list("// #"),
       c,
       e,
       both,
       {}},
      {QStringLiteral("C++"),
       list("cpp c++ cc cxx hpp h cuda cu"),
       words("alignas alignof and asm auto break case catch class co_await co_return co_yield concept const "
             "consteval constexpr "
             "constinit const_cast continue decltype default delete do dynamic_cast else enum explicit "
             "export extern false final for "
             "friend goto if inline mutable namespace new noexcept not nullptr operator or override private "
             "protected public register "
             "reinterpret_cast requires return sizeof static static_assert static_cast struct switch "
             "template this thread_local throw "
             "true try typedef typeid typename union using virtual volatile while #include #define #if "
             "#ifdef #ifndef #else #endif "
             "#pragma __global__ __device__ __shared__ float double int char bool void long short unsigned "
             "signed"),
       words("int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t size_t ptrdiff_t string "
             "string_view vector map "
             "unordered_map set span optional unique_ptr shared_ptr array tuple pair std"),
       list("//"),
       c,
       e,
       both,
       {}},
      {QStringLiteral("C"),
       list("c"),
       words("auto break case const continue default do else enum extern for goto if inline register "
             "restrict return sizeof static "
             "struct switch typedef union volatile while float double int char void long short unsigned "
             "signed #include #define #if "
             "#ifdef #ifndef #else #endif #pragma"),
       words("int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t size_t bool FILE NULL"),
       list("//"),
       c,
       e,
       both,
       {}},
      {QStringLiteral("Python"),
       list("python py python3"),
       words("and as assert async await break class continue def del elif else except False finally for from "
             "global if import in is "
             "lambda match None nonlocal not or pass raise return True try while with yield"),
       words("int float str bytes bool list dict set tuple object type self cls range print len enumerate "
             "zip open Exception"),
       list("#"),
       {},
       {},
       both,
       list("\"\"\" '''")},
      {QStringLiteral("JavaScript"), list("javascript js jsx mjs node"),
       words("async await break case catch class const continue debugger default delete do else export "
             "extends false finally for from "
             "function if import in instanceof let new null of return static super switch this throw true "
             "try typeof undefined var "
             "void while with yield"),
       words("Array Boolean Date Error JSON Map Math Number Object Promise RegExp Set String Symbol console "
             "document window"),
       list("//"), c, e, both, list("`")},
      {QStringLiteral("TypeScript"), list("typescript ts tsx"),
       words("abstract any as async await break case catch class const continue declare default delete do "
             "else enum export extends "
             "false finally for from function if implements import in instanceof interface keyof let "
             "namespace new null of private "
             "protected public readonly return static super switch this throw true try type typeof undefined "
             "var void while yield"),
       words("Array boolean number string object never unknown Promise Record Partial Map Set Date Error"),
       list("//"), c, e, both, list("`")},
      {QStringLiteral("Rust"),
       list("rust rs"),
       words("as async await break const continue crate dyn else enum extern false fn for if impl in let "
             "loop match mod move mut pub "
             "ref return self Self static struct super trait true type unsafe use where while"),
       words("i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64 bool char str String Vec Option "
             "Result Box Rc Arc Some None "
             "Ok Err"),
       list("//"),
       c,
       e,
       QStringLiteral("\""),
       {}},
      {QStringLiteral("Go"), list("go golang"),
       words("break case chan const continue default defer else fallthrough for func go goto if import "
             "interface map package range "
             "return select struct switch type var true false nil"),
       words("bool byte error float32 float64 int int8 int16 int32 int64 rune string uint uint8 uint16 "
             "uint32 uint64 any"),
       list("//"), c, e, both, list("`")},
      {QStringLiteral("Java"),
       list("java kotlin kt scala"),
       words("abstract assert boolean break byte case catch char class const continue default do double else "
             "enum extends final "
             "finally float for fun if implements import instanceof int interface long native new null "
             "object override package "
             "private protected public return short static super switch synchronized this throw throws true "
             "false try val var void "
             "volatile when while"),
       words("String Integer List Map Set Object Boolean Double Long System Exception Override"),
       list("//"),
       c,
       e,
       both,
       {}},
      {QStringLiteral("C#"),
       list("csharp cs c#"),
       words("abstract as async await base bool break case catch class const continue decimal default "
             "delegate do double else enum "
             "event false finally float for foreach get if in int interface internal is lock long namespace "
             "new null object out "
             "override private protected public readonly ref return sealed set static string struct switch "
             "this throw true try "
             "typeof using var virtual void while"),
       words("List Dictionary Task String Console Exception"),
       list("//"),
       c,
       e,
       both,
       {}},
      {QStringLiteral("Shell"),
       list("sh bash shell zsh console"),
       words("if then else elif fi for in do done while until case esac function return exit local export "
             "source set unset sudo cd "
             "echo"),
       {},
       list("#"),
       {},
       {},
       both,
       {},
       false,
       false,
       false,
       true},
      {QStringLiteral("SQL"),
       list("sql sqlite postgresql mysql"),
       words("select from where and or not null insert into values update set delete create table index view "
             "drop alter add primary "
             "key foreign references join left right inner outer full on group by order having limit offset "
             "distinct as union all "
             "exists in between like is case when then else end with count sum avg min max asc desc default "
             "unique"),
       words("integer int bigint text varchar char real double float boolean date timestamp blob serial "
             "numeric decimal"),
       list("--"),
       c,
       e,
       both,
       {},
       true},
      {QStringLiteral("JSON"),
       list("json jsonc"),
       words("true false null"),
       {},
       {},
       {},
       {},
       QStringLiteral("\""),
       {}},
      {QStringLiteral("YAML"),
       list("yaml yml"),
       words("true false null yes no on off"),
       {},
       list("#"),
       {},
       {},
       both,
       {},
       false,
       false,
       false,
       true},
      {QStringLiteral("TOML"), list("toml ini"), words("true false"), {}, list("# ;"), {}, {}, both, {}},
      {QStringLiteral("CSS"),
       list("css scss"),
       words("important media import keyframes supports from to"),
       {},
       {},
       c,
       e,
       both,
       {}},
      {QStringLiteral("HTML"),
       list("html xml svg xhtml vue"),
       {},
       {},
       {},
       QStringLiteral("<!--"),
       QStringLiteral("-->"),
       both,
       {},
       false,
       true},
      {QStringLiteral("CMake"),
       list("cmake"),
       words("if else elseif endif foreach endforeach while endwhile function endfunction macro endmacro "
             "return set unset include "
             "project add_executable add_library add_subdirectory target_link_libraries "
             "target_include_directories "
             "target_compile_options find_package message option install PUBLIC PRIVATE INTERFACE REQUIRED "
             "ON OFF TRUE FALSE"),
       {},
       list("#"),
       {},
       {},
       QStringLiteral("\""),
       {},
       true},
      {QStringLiteral("Diff"), list("diff patch"), {}, {}, {}, {}, {}, {}, {}, false, false, true},
  };
}

}  // namespace

const std::vector<Language>& languages() {
  static const std::vector<Language> all = make();
  return all;
}

}  // namespace quern::ui
