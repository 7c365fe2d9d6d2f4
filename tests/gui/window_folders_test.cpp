// Folders of the chat list, worked with presses and keys.

#include <QAbstractButton>
#include <QListView>

#include "tests/gui/hands.h"
#include "tests/gui/window_fixture.h"
#include "ui/bridge/chat_list_model.h"

namespace quern::ui {
namespace {

using engine::store::Id;
using test::Hands;

class WindowFoldersTest : public WindowTest {
 protected:
  void SetUp() override {
    for (const char* title : {"Bread", "Wheat"}) {
      engine::store::Chat chat;
      chat.title = title;
      ASSERT_TRUE(store_->createChat(chat));
    }
    test_->open();
    EVENTUALLY(rows() == 3);
  }
  QListView* list() { return test_->find<QListView>("chatList"); }
  int rows() { return list()->model()->rowCount(); }
  int rowOf(const QString& title) {
    for (int row = 0; row < rows(); ++row) {
      if (list()->model()->index(row, 0).data().toString() == title) return row;
    }
    return -1;
  }
  /// "Today, Bread, …" from top to bottom.
  QString titles() {
    QStringList all;
    for (int row = 0; row < rows(); ++row) all += list()->model()->index(row, 0).data().toString();
    return all.join(QStringLiteral(", "));
  }
  QLineEdit* editor() { return list()->viewport()->findChild<QLineEdit*>(QStringLiteral("renameEditor")); }
  void nameIt(const QString& name) {
    EVENTUALLY(editor() != nullptr && editor()->isVisible());
    EXPECT_TRUE(editor()->hasFocus());
    test::enter(*editor(), name);
    EVENTUALLY(editor() == nullptr);
  }
  void rightClick(const QString& title) { test::clickRow(*list(), rowOf(title), Qt::RightButton); }
  void makeFolder(const QString& name) {
    Hands hands;
    hands.choose(QStringLiteral("chatListMenu"), QStringLiteral("New folder"));
    test::click(*list()->viewport(), {40, list()->viewport()->height() - 20}, Qt::RightButton);
    nameIt(name);
  }
  void move(const QString& chat, const QString& to) {
    Hands hands;
    hands.choose(QStringLiteral("chatListMenu"), QStringLiteral("Move to folder"));
    hands.choose(QStringLiteral("moveMenu"), to);
    rightClick(chat);
  }
  std::optional<Id> folderOf(const char* title) {
    for (const auto& chat : *store_->chats()) {
      if (chat.title == title) return chat.folder;
    }
    return std::nullopt;
  }
};

TEST_F(WindowFoldersTest, AFolderIsMadeNamedFilledOpenedAndEmptied) {
  makeFolder(QStringLiteral("Baking"));
  ASSERT_EQ(store_->folders()->size(), 1U);
  EXPECT_EQ(store_->folders()->front().name, "Baking");
  EXPECT_GE(rowOf(QStringLiteral("Baking")), 0);

  move(QStringLiteral("Bread"), QStringLiteral("Baking"));
  EXPECT_EQ(folderOf("Bread"), std::optional(store_->folders()->front().id));
  EXPECT_EQ(titles(), QStringLiteral("Today, Wheat, Folders, Baking"));
  test::clickRow(*list(), rowOf(QStringLiteral("Baking")));
  EXPECT_EQ(titles(), QStringLiteral("Today, Wheat, Folders, Baking, Bread"));

  // The chat inside opens, and leaves again.
  test::clickRow(*list(), rowOf(QStringLiteral("Bread")));
  EXPECT_EQ(test_->window.windowTitle(), QStringLiteral("Bread – Quern"));
  move(QStringLiteral("Bread"), QStringLiteral("No folder"));
  EXPECT_EQ(folderOf("Bread"), std::nullopt);
  EXPECT_EQ(rowOf(QStringLiteral("Baking")), rows() - 1);
}

TEST_F(WindowFoldersTest, AFolderIsRenamedAndDeletedAndItsChatsStay) {
  makeFolder(QStringLiteral("Baking"));
  move(QStringLiteral("Bread"), QStringLiteral("Baking"));
  {
    Hands hands;
    hands.choose(QStringLiteral("chatListMenu"), QStringLiteral("Rename"));
    rightClick(QStringLiteral("Baking"));
  }
  nameIt(QStringLiteral("The oven"));
  EXPECT_EQ(store_->folders()->front().name, "The oven");
  {
    Hands hands;
    hands.choose(QStringLiteral("chatListMenu"), QStringLiteral("Delete the folder, keep its chats"));
    rightClick(QStringLiteral("The oven"));
  }
  EXPECT_TRUE(store_->folders()->empty());
  EXPECT_EQ(rows(), 3);
  EXPECT_GE(rowOf(QStringLiteral("Bread")), 1);
}

TEST_F(WindowFoldersTest, AChatMovesIntoAFolderThatIsMadeForIt) {
  move(QStringLiteral("Wheat"), QStringLiteral("New folder…"));
  nameIt(QStringLiteral("Fields"));
  ASSERT_EQ(store_->folders()->size(), 1U);
  EXPECT_EQ(store_->folders()->front().name, "Fields");
  EXPECT_EQ(folderOf("Wheat"), std::optional(store_->folders()->front().id));
}

TEST_F(WindowFoldersTest, ThePlusOfTheGroupMakesAnotherAndEscLeavesItsFirstName) {
  makeFolder(QStringLiteral("Baking"));
  const int head = rowOf(QStringLiteral("Folders"));
  ASSERT_GE(head, 0);
  const QRect line = list()->visualRect(list()->model()->index(head, 0));
  test::click(*list()->viewport(), {line.right() - 22, line.bottom() - 15});
  EVENTUALLY(editor() != nullptr && editor()->isVisible());
  QTest::keyClicks(editor(), QStringLiteral("Never"));
  QTest::keyClick(editor(), Qt::Key_Escape);
  EVENTUALLY(editor() == nullptr);
  EXPECT_EQ(store_->folders()->size(), 2U);
  EXPECT_GE(rowOf(QStringLiteral("New folder")), 0);
  EXPECT_EQ(rowOf(QStringLiteral("Never")), -1);
}

TEST_F(WindowFoldersTest, AChatIsRenamedInTheListAndFromTheTopAndPinned) {
  {
    Hands hands;
    hands.choose(QStringLiteral("chatListMenu"), QStringLiteral("Rename"));
    rightClick(QStringLiteral("Bread"));
  }
  nameIt(QStringLiteral("Loaf"));
  EXPECT_GE(rowOf(QStringLiteral("Loaf")), 1);
  EXPECT_FALSE(test_->conversation.chat()) << "naming a chat opened it";
  test::clickRow(*list(), rowOf(QStringLiteral("Loaf")));
  EXPECT_EQ(test_->window.windowTitle(), QStringLiteral("Loaf – Quern"));
  {
    Hands hands;
    hands.choose(QStringLiteral("chatMenu"), QStringLiteral("Rename…"));
    test::click(*test_->find("moreButton"));
  }
  nameIt(QStringLiteral("Crust"));
  EVENTUALLY(test_->window.windowTitle() == QStringLiteral("Crust – Quern"));
  {
    Hands hands;
    hands.choose(QStringLiteral("chatListMenu"), QStringLiteral("Pin"));
    rightClick(QStringLiteral("Crust"));
  }
  EXPECT_EQ(titles(), QStringLiteral("Pinned, Crust, Today, Wheat"));
}

TEST_F(WindowFoldersTest, AChatThatWasDeletedFromTheTopComesBackIntoItsFolderAndIsShownThere) {
  makeFolder(QStringLiteral("Baking"));
  test::clickRow(*list(), rowOf(QStringLiteral("Bread")));
  const auto open = test_->conversation.chat();
  move(QStringLiteral("Bread"), QStringLiteral("Baking"));
  EXPECT_EQ(test_->conversation.chat(), open);
  {
    Hands hands;
    hands.choose(QStringLiteral("chatMenu"), QStringLiteral("Delete"));
    test::click(*test_->find("moreButton"));
  }
  EXPECT_FALSE(test_->conversation.chat());
  test::click(*test_->find("toastAction"));
  EVENTUALLY(test_->conversation.chat() == open);
  EXPECT_NE(folderOf("Bread"), std::nullopt);
  EXPECT_EQ(titles(), QStringLiteral("Today, Wheat, Folders, Baking, Bread"));
  EXPECT_EQ(list()->currentIndex().data().toString(), QStringLiteral("Bread"));
}

}  // namespace
}  // namespace quern::ui
