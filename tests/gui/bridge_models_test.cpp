// The list models and what is kept in the store's settings.
#include <gtest/gtest.h>

#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <filesystem>
#include <fstream>

#include "tests/gui/bridge_fixture.h"
#include "ui/bridge/app_settings.h"
#include "ui/bridge/chat_list_model.h"
#include "ui/bridge/presets.h"
#include "ui/bridge/search_model.h"

namespace quern::test {
namespace {

using engine::store::Chat;
using engine::store::Id;
using engine::store::Message;
using engine::store::Role;
using engine::store::Store;
using ui::AppSettings;
using ui::ChatListModel;
using ui::Preset;
using ui::Presets;
using ui::SearchModel;

constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;

class BridgeModels : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    store_.reset();
    auto opened = Store::open(folder_.filePath(QStringLiteral("quern.db")).toStdString());
    ASSERT_TRUE(opened);
    store_ = std::move(*opened);
  }
  Id addChat(const std::string& title, std::int64_t daysAgo = 0, std::optional<Id> folder = {}) {
    Chat chat;
    chat.title = title;
    chat.folder = folder;
    chat.createdMs = chat.updatedMs = noon_ - daysAgo * kDayMs;
    return store_->createChat(chat).value_or(0);
  }
  static std::string shape(const ChatListModel& model) {
    std::string text;
    for (int row = 0; row < model.rowCount(); ++row) {
      const QModelIndex index = model.index(row);
      const auto kind = static_cast<ChatListModel::Kind>(index.data(ChatListModel::kKindRole).toInt());
      text += kind == ChatListModel::Kind::kSection ? "#" : kind == ChatListModel::Kind::kFolder ? "/" : "";
      text += index.data().toString().toStdString();
      if (kind != ChatListModel::Kind::kChat) {
        text += " " + std::to_string(index.data(ChatListModel::kCountRole).toInt());
      }
      text += '|';
    }
    return text;
  }
  QTemporaryDir folder_;
  std::unique_ptr<Store> store_;
  const QDate today_ = QDate(2026, 3, 7);
  const std::int64_t noon_ = today_.startOfDay().toMSecsSinceEpoch() + kDayMs / 2;
};

TEST_F(BridgeModels, ChatsAreGroupedByPinTimeAndFolder) {
  const Id pinned = addChat("pinned", 40);
  addChat("today");
  addChat("week", 6);
  addChat("older", 8);
  ChatListModel model(*store_);
  const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::Fatal);
  model.setToday(today_);
  model.setPinned(pinned, true);
  const auto folder = model.createFolder(QStringLiteral("Work"));
  ASSERT_TRUE(folder);
  model.moveToFolder(addChat("filed", 3), folder);
  EXPECT_EQ(shape(model),
            "#Pinned 1|pinned|#Today 1|today|#This week 1|week|#Older 1|older|#Folders 1|/Work 1|");
  model.setOpen(model.index(model.rowCount() - 1), true);
  EXPECT_TRUE(shape(model).ends_with("/Work 1|filed|"));
  model.setOpen(model.index(2), false);
  EXPECT_EQ(shape(model),
            "#Pinned 1|pinned|#Today 1|#This week 1|week|#Older 1|older|#Folders 1|/Work 1|filed|");
  model.renameFolder(*folder, QStringLiteral("Play"));
  EXPECT_TRUE(shape(model).ends_with("/Play 1|filed|"));
  model.deleteFolder(*folder);
  EXPECT_EQ(shape(model), "#Pinned 1|pinned|#Today 1|#This week 2|filed|week|#Older 1|older|");
}

TEST_F(BridgeModels, DeletedChatsComeBackOneByOne) {
  const Id first = addChat("first");
  const Id second = addChat("second", 1);
  ChatListModel model(*store_);
  model.setToday(today_);
  model.deleteChat(first);
  model.deleteChat(second);
  EXPECT_EQ(model.rowCount(), 0);
  model.undoDelete();
  EXPECT_EQ(shape(model), "#This week 1|second|");
  model.undoDelete();
  EXPECT_FALSE(model.canUndoDelete());
  EXPECT_TRUE(model.indexOfChat(first).isValid());
}

TEST_F(BridgeModels, RenamingTouchesOneRow) {
  for (int i = 0; i < 20; ++i) addChat("chat " + std::to_string(i));
  ChatListModel model(*store_);
  model.setToday(today_);
  const QSignalSpy reset(&model, &QAbstractItemModel::modelReset);
  const QSignalSpy inserted(&model, &QAbstractItemModel::rowsInserted);
  const QSignalSpy changed(&model, &QAbstractItemModel::dataChanged);
  EXPECT_TRUE(model.setData(model.index(5), QStringLiteral(" new  name "), Qt::EditRole));
  EXPECT_FALSE(model.setData(model.index(5), QStringLiteral("  "), Qt::EditRole));
  EXPECT_FALSE(model.setData(model.index(0), QStringLiteral("head"), Qt::EditRole));
  EXPECT_EQ(model.index(5).data().toString(), QStringLiteral("new name"));
  EXPECT_EQ(reset.count(), 0);
  EXPECT_EQ(inserted.count(), 0);
  EXPECT_EQ(changed.count(), 1);
}

TEST_F(BridgeModels, AThousandChatsAreListedAtOnce) {
  for (int i = 0; i < 1500; ++i) addChat("chat " + std::to_string(i), i % 30);
  ChatListModel model(*store_);
  model.setToday(today_);
  QElapsedTimer time;
  time.start();
  model.refresh();
  const double ms = static_cast<double>(time.nsecsElapsed()) / 1e6;
  std::printf("refresh of 1,500 chats: %.1f ms\n", ms);
  EXPECT_LT(ms, 100);  // measured: 5 ms; the room is for slow machines
  EXPECT_EQ(model.rowCount(), 1503);
}

TEST_F(BridgeModels, TheLatestSearchWins) {
  const Id chat = addChat("Mills");
  for (int i = 0; i < 500; ++i) {
    Message message;
    message.chat = chat;
    message.role = Role::kUser;
    message.content = (i % 2 == 0 ? "grain and stone " : "water and wheel ") + std::to_string(i);
    ASSERT_TRUE(store_->addMessage(message));
  }
  SearchModel model(*store_);
  const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::Fatal);
  const QSignalSpy finished(&model, &SearchModel::finished);
  QElapsedTimer time;
  time.start();
  for (const char* words : {"g", "gr", "gra", "grain", "whe", "wheel"})
    model.setQuery(QString::fromUtf8(words));
  EXPECT_LT(time.elapsed(), 20);
  ASSERT_TRUE(spinUntil([&] { return !model.isSearching(); }));
  EXPECT_EQ(finished.count(), 1);
  ASSERT_GT(model.rowCount(), 0);
  for (int row = 0; row < model.rowCount(); ++row) {
    EXPECT_TRUE(
        model.index(row).data(SearchModel::kSnippetRole).toString().contains(QStringLiteral("wheel")));
  }
  EXPECT_EQ(model.index(0).data(SearchModel::kChatRole).toLongLong(), chat);
  model.setQuery(QStringLiteral("mills"));
  ASSERT_TRUE(spinUntil([&] { return !model.isSearching(); }));
  ASSERT_EQ(model.rowCount(), 1);
  EXPECT_EQ(model.index(0).data(SearchModel::kMessageRole).toLongLong(), 0);
  model.setQuery(QString());
  EXPECT_EQ(model.rowCount(), 0);
}

TEST_F(BridgeModels, PresetsAreKept) {
  {
    Presets presets(*store_);
    Preset preset{QStringLiteral(" Code "), QStringLiteral("You write C++."), {}, 512};
    preset.sampling.temperature = 0.2F;
    EXPECT_TRUE(presets.save(preset));
    EXPECT_FALSE(presets.save(Preset{QStringLiteral("  "), {}, {}, -1}));
    EXPECT_TRUE(presets.save(Preset{QStringLiteral("Art"), {}, {}, -1}));
    EXPECT_TRUE(presets.rename(QStringLiteral("art"), QStringLiteral("Draw")));
    EXPECT_FALSE(presets.rename(QStringLiteral("Draw"), QStringLiteral("CODE")));
  }
  open();
  Presets presets(*store_);
  EXPECT_EQ(presets.names(), (QStringList{QStringLiteral("Code"), QStringLiteral("Draw")}));
  const auto preset = presets.find(QStringLiteral("code"));
  ASSERT_TRUE(preset);
  EXPECT_EQ(preset->systemPrompt, QStringLiteral("You write C++."));
  EXPECT_FLOAT_EQ(preset->sampling.temperature, 0.2F);
  EXPECT_EQ(preset->maxTokens, 512);
  presets.remove(QStringLiteral("CODE"));
  EXPECT_EQ(presets.names(), QStringList(QStringLiteral("Draw")));
}

TEST_F(BridgeModels, BrokenPresetsAreLeftOut) {
  store_->setSetting("window.presets",
                     R"([{"name": 1}, 5, {"name": "ok", "maxTokens": -3}, {"name": "OK"}])");
  EXPECT_EQ(Presets(*store_).names(), QStringList(QStringLiteral("ok")));
  store_->setSetting("window.presets", "{{{{");
  EXPECT_TRUE(Presets(*store_).names().isEmpty());
}

TEST_F(BridgeModels, SettingsAreKept) {
  {
    AppSettings settings(*store_);
    EXPECT_EQ(settings.textPercent(), 100);
    EXPECT_FALSE(settings.lastChat());
    settings.setThemeMode(AppSettings::ThemeMode::kDark);
    settings.setTextPercent(900);
    settings.setLastModel("/m/a.gguf");
    settings.setLastChat(42);
    engine::scheduler::LoadOptions options;
    options.contextTokens = 2048;
    options.kvType = engine::runtime::KvCacheType::kQ8_0;
    settings.setLoadOptions("/m/a.gguf", options);
    for (int i = 0; i < 60; ++i) settings.addSideLoaded("/m/" + std::to_string(i) + ".gguf");
    settings.addSideLoaded("/m/./58.gguf");
    settings.removeSideLoaded("/m/59.gguf");
  }
  open();
  const AppSettings settings(*store_);
  EXPECT_EQ(settings.themeMode(), AppSettings::ThemeMode::kDark);
  EXPECT_EQ(settings.textPercent(), 200);
  EXPECT_EQ(settings.lastModel(), "/m/a.gguf");
  EXPECT_EQ(settings.lastChat(), 42);
  EXPECT_EQ(settings.loadOptions("/m/a.gguf").contextTokens, 2048);
  EXPECT_EQ(settings.loadOptions("/m/a.gguf").kvType, engine::runtime::KvCacheType::kQ8_0);
  EXPECT_EQ(settings.loadOptions("/m/other.gguf").contextTokens, 0);
  // Chats and a network's requests run together, in the memory of one context, whatever was kept before.
  for (const char* model : {"/m/a.gguf", "/m/other.gguf"}) {
    EXPECT_EQ(settings.loadOptions(model).parallel, 4);
    EXPECT_EQ(settings.loadOptions(model).kvTokens, 1);
  }
  ASSERT_EQ(settings.sideLoaded().size(), 49U);
  EXPECT_EQ(settings.sideLoaded()[0], "/m/58.gguf");
}

TEST_F(BridgeModels, PromptsAreKeptOnDiskOnlyWhileSomebodyWantsIt) {
  AppSettings settings(*store_);
  EXPECT_TRUE(settings.loadOptions("/m/a.gguf").prefixFolder.empty());
  settings.setKeepsPrompts(true);
  const auto folder = settings.loadOptions("/m/a.gguf").prefixFolder;
  ASSERT_FALSE(folder.empty());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "something") << "read";
  settings.setKeepsPrompts(false);
  EXPECT_FALSE(std::filesystem::exists(folder));
  EXPECT_TRUE(settings.loadOptions("/m/a.gguf").prefixFolder.empty());
}

TEST_F(BridgeModels, BrokenSettingsCountAsNotSet) {
  store_->setSetting("window.theme", "purple");
  store_->setSetting("window.textPercent", "99999999999999999999");
  store_->setSetting("window.lastChat", "-5");
  store_->setSetting("models.sideLoaded", "[1, {}, \"/m/x.gguf\"]");
  store_->setSetting("model.load:/m/a.gguf", R"({"contextTokens": -1, "kvType": 77, "threads": "many"})");
  const AppSettings settings(*store_);
  EXPECT_EQ(settings.themeMode(), AppSettings::ThemeMode::kSystem);
  EXPECT_EQ(settings.textPercent(), 100);
  EXPECT_FALSE(settings.lastChat());
  EXPECT_EQ(settings.sideLoaded().size(), 1U);
  EXPECT_EQ(settings.loadOptions("/m/a.gguf").contextTokens, 0);
  EXPECT_EQ(settings.loadOptions("/m/a.gguf").threads, 0);
}

}  // namespace
}  // namespace quern::test
