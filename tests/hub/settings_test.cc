#include <gtest/gtest.h>

#include <cstdlib>

#include "octavo/hub.h"
#include "temp_folder.h"

namespace octavo {
namespace {

class HubSettingsTest : public TempFolder {
 protected:
  void SetUp() override {
    TempFolder::SetUp();
    for (const char* name : {"HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH",
                             "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE",
                             "TRANSFORMERS_OFFLINE", "XDG_CACHE_HOME", "HF_HUB_DOWNLOAD_TIMEOUT",
                             "SSL_CERT_FILE", "HF_HUB_DISABLE_IMPLICIT_TOKEN"})
      ::unsetenv(name);
    set("HOME", folder_.string());
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
};

TEST_F(HubSettingsTest, DefaultsAreThoseOfThePythonClient) {
  const auto settings = hub_settings();
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->endpoint, "https://huggingface.co");
  EXPECT_EQ(settings->cache, folder_ / ".cache/huggingface/hub");
  EXPECT_EQ(settings->token, "");
  EXPECT_EQ(settings->token_from, folder_ / ".cache/huggingface/token");
  EXPECT_FALSE(settings->offline);
}

TEST_F(HubSettingsTest, PlacesOfTheCache) {
  set("XDG_CACHE_HOME", "/xdg");
  EXPECT_EQ(hub_settings()->cache, "/xdg/huggingface/hub");
  set("HF_HOME", "~/hf");
  EXPECT_EQ(hub_settings()->cache, folder_ / "hf/hub");
  set("HUGGINGFACE_HUB_CACHE", "/old");
  EXPECT_EQ(hub_settings()->cache, "/old");
  set("HF_HUB_CACHE", "/new");
  EXPECT_EQ(hub_settings()->cache, "/new");
}

TEST_F(HubSettingsTest, TheTokenOfTheEnvironmentComesFirst) {
  set("HF_HOME", folder_.string());
  put("token", " from-file \n");
  EXPECT_EQ(hub_settings()->token, "from-file");
  EXPECT_EQ(hub_settings()->token_from, folder_ / "token");
  set("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
  EXPECT_EQ(hub_settings()->token, "");
  set("HF_TOKEN", " from-environment\n");
  EXPECT_EQ(hub_settings()->token, "from-environment");
  EXPECT_EQ(hub_settings()->token_from, "HF_TOKEN");
}

TEST_F(HubSettingsTest, ATokenIsOneLine) {
  set("HF_TOKEN", "secret\r\nX-Evil: 1");
  const auto settings = hub_settings();
  ASSERT_FALSE(settings);
  EXPECT_NE(settings.error().message.find("HF_TOKEN"), std::string::npos);
  EXPECT_EQ(settings.error().message.find("secret"), std::string::npos);
}

TEST_F(HubSettingsTest, Switches) {
  for (const char* on : {"1", "true", "YES", "on"}) {
    set("HF_HUB_OFFLINE", on);
    EXPECT_TRUE(hub_settings()->offline) << on;
  }
  for (const char* off : {"0", "", "false", "no"}) {
    set("HF_HUB_OFFLINE", off);
    EXPECT_FALSE(hub_settings()->offline) << off;
  }
  set("HF_ENDPOINT", "http://127.0.0.1:9/");
  EXPECT_EQ(hub_settings()->endpoint, "http://127.0.0.1:9");
  set("HF_ENDPOINT", "ftp://x");
  EXPECT_FALSE(hub_settings());
  set("HF_ENDPOINT", "");
  set("HF_HUB_DOWNLOAD_TIMEOUT", "7");
  EXPECT_EQ(hub_settings()->stall_time.count(), 7);
  for (const char* bad : {"0", "-1", "7s", "99999999999999999999"}) {
    set("HF_HUB_DOWNLOAD_TIMEOUT", bad);
    EXPECT_FALSE(hub_settings()) << bad;
  }
}

}  // namespace
}  // namespace octavo
