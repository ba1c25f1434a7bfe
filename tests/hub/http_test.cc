#include "hub/http.h"

#include <gtest/gtest.h>

namespace octavo::hub {
namespace {

TEST(HubHttp, TheTokensHostIsSchemeHostAndPort) {
  EXPECT_TRUE(same_origin("https://hub.co/a", "https://hub.co"));
  EXPECT_TRUE(same_origin("https://HUB.co:443/a?b", "https://hub.co"));
  EXPECT_TRUE(same_origin("https://user:pw@hub.co/a", "https://hub.co"));
  for (const char* other :
       {"http://hub.co/", "https://hub.co:8443/", "https://hub.co.evil.org/", "https://evil.org/",
        "https://hub.co@evil.org/", "https://evil.org/?https://hub.co", "", "hub.co"})
    EXPECT_FALSE(same_origin(other, "https://hub.co")) << other;
}

TEST(HubHttp, RedirectsAreAbsoluteOrRelative) {
  EXPECT_EQ(redirected("https://hub.co/a/b", "/c?d=e"), "https://hub.co/c?d=e");
  EXPECT_EQ(redirected("https://hub.co/a/b", "c"), "https://hub.co/a/c");
  EXPECT_EQ(redirected("https://hub.co/a/b", "https://cdn.net/x?sig=1"), "https://cdn.net/x?sig=1");
  const std::string sign = "https://cdn.net/x%2By?sig=a%2Bb%3D&c=d+e/f~";
  EXPECT_EQ(redirected("https://hub.co/a", sign), sign);
  EXPECT_EQ(redirected("http://127.0.0.1:80/a", "http://127.0.0.2:81/b"), "http://127.0.0.2:81/b");
  EXPECT_EQ(redirected("http://hub.co/a", "https://hub.co/a"), "https://hub.co/a");
}

TEST(HubHttp, RedirectsDoNotLeaveTls) {
  for (const char* bad : {"http://hub.co/a", "file:///etc/passwd", "ftp://hub.co/", "gopher://x"})
    EXPECT_FALSE(redirected("https://hub.co/a", bad)) << bad;
}

TEST(HubHttp, MessagesShowNoSecret) {
  EXPECT_EQ(shown("https://user:secret@hub.co/a?X-Signature=secret#f"), "https://hub.co/a");
}

}  // namespace
}  // namespace octavo::hub
