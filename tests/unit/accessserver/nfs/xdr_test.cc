#include <gtest/gtest.h>

#include "accessserver/nfs/xdr/xdr_reader.h"
#include "accessserver/nfs/xdr/xdr_writer.h"

namespace shima {
namespace {

XdrReader reader_of(const XdrWriter& out) { return XdrReader(Buffer::copy_of(out.flat())); }

TEST(Xdr, WhatIsWrittenIsRead) {
  XdrWriter out;
  out.u32(0xdeadbeef);
  out.u64(0x0123456789abcdef);
  out.boolean(true);
  out.opaque("hello");
  out.fixed("abcd");
  out.opaque("");
  EXPECT_EQ(out.flat().substr(0, 4), "\xde\xad\xbe\xef");
  EXPECT_EQ(out.size() % 4, 0u);
  XdrReader in = reader_of(out);
  EXPECT_EQ(in.u32(), 0xdeadbeef);
  EXPECT_EQ(in.u64(), 0x0123456789abcdefu);
  EXPECT_TRUE(in.boolean());
  EXPECT_EQ(in.string(5), "hello");
  EXPECT_EQ(in.fixed_string(4), "abcd");
  EXPECT_EQ(in.string(0), "");
  EXPECT_TRUE(in.good());
  EXPECT_EQ(in.left(), 0u);
}

TEST(Xdr, AttachmentsLieAtTheirPlacesWithPadding) {
  XdrWriter copied, attached, inner;
  for (XdrWriter* out : {&copied, &attached}) out->u32(7);
  inner.u32(8);
  inner.opaque_attached(Buffer::copy_of("12345"));
  inner.opaque_attached(Buffer());
  inner.opaque_attached(Buffer::copy_of("abcdefgh"));
  attached.append(inner);
  copied.u32(8);
  for (const char* text : {"12345", "", "abcdefgh"}) copied.opaque(text);
  EXPECT_EQ(attached.flat(), copied.flat());
  EXPECT_EQ(attached.size(), copied.size());
  EXPECT_EQ(attached.attachments().size(), 2u);
}

TEST(Xdr, PatchingAndCuttingChangeOnlyTheirPlace) {
  XdrWriter out;
  out.u32(1);
  size_t at = out.size();
  out.u32(2);
  out.u32(3);
  out.patch_u32(at, 0x01020304);
  out.cut_to(8);
  EXPECT_EQ(out.flat(), std::string("\0\0\0\1\1\2\3\4", 8));
}

TEST(Xdr, AReaderThatRanOutStaysBad) {
  XdrReader in(Buffer::copy_of(std::string_view("\0\0\0\1\0\0", 6)));
  EXPECT_EQ(in.u32(), 1u);
  EXPECT_EQ(in.u32(), 0u);
  EXPECT_FALSE(in.good());
  EXPECT_EQ(in.left(), 0u);
  EXPECT_EQ(in.u64(), 0u);
  EXPECT_EQ(in.string(100), "");
  EXPECT_FALSE(in.good());
}

TEST(Xdr, LengthsNearTheLargestDoNotWrapAround) {
  for (uint32_t length : {0xffffffffu, 0xfffffffeu, 0xfffffffdu, 0xfffffffcu, 0x80000000u, 5u}) {
    XdrWriter out;
    out.u32(length);
    out.u32(0);
    XdrReader in = reader_of(out);
    EXPECT_TRUE(in.opaque(SIZE_MAX).empty());
    EXPECT_FALSE(in.good()) << length;
  }
  XdrReader in(Buffer::copy_of("abcd"));
  EXPECT_TRUE(in.fixed(SIZE_MAX).empty());
  EXPECT_FALSE(in.good());
}

TEST(Xdr, MissingPaddingIsMalformed) {
  XdrReader in(Buffer::copy_of(std::string_view("\0\0\0\5hello", 9)));
  EXPECT_EQ(in.string(100), "");
  EXPECT_FALSE(in.good());
}

TEST(Xdr, OpaquesOverTheirMaximumAreMalformed) {
  XdrWriter out;
  out.opaque("12345");
  XdrReader in = reader_of(out);
  EXPECT_EQ(in.string(4), "");
  EXPECT_FALSE(in.good());
}

TEST(Xdr, BooleansAndChoicesTakeOnlyTheirValues) {
  XdrWriter out;
  out.u32(2);
  XdrReader boolean = reader_of(out), choice = reader_of(out), fits = reader_of(out);
  EXPECT_FALSE(boolean.boolean());
  EXPECT_FALSE(boolean.good());
  EXPECT_EQ(choice.choice(1), 0u);
  EXPECT_FALSE(choice.good());
  EXPECT_EQ(fits.choice(2), 2u);
  EXPECT_TRUE(fits.good());
}

TEST(Xdr, OpaquesShareTheMemoryOfTheRecord) {
  XdrWriter out;
  out.opaque("payload!");
  Buffer record = Buffer::copy_of(out.flat());
  XdrReader in(record);
  EXPECT_EQ(in.opaque(100).data(), record.data() + 4);
}

}  // namespace
}  // namespace shima
