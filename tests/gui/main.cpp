// main() of every window test: an application and a home of its own.
#include <gtest/gtest.h>

#include <QApplication>
#include <QTemporaryDir>

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (!qEnvironmentVariableIsSet("QT_QPA_PLATFORM") && !qEnvironmentVariableIsSet("DISPLAY")) {
    qputenv("QT_QPA_PLATFORM", "offscreen");
  }
  // A test that starts itself again hands its home on.
  QTemporaryDir home;
  if (!qEnvironmentVariableIsSet("QUERN_TEST_CHILD")) qputenv("QUERN_HOME", home.path().toUtf8());
  const QApplication application(argc, argv);
  return RUN_ALL_TESTS();
}
