"""Values of header fields, and whole messages, that are unusual or broken: what `broken.py` puts together."""

ADDRESSES = [
    b"a@example.test", b"<a@example.test>", b"A B <a@example.test>", b'"A, B" <a@example.test>', b'"A \\"q\\" \\\\ B" <a@b>',
    b"a@b (comment)", b"(first) a@b (second)", b"A (c) B <a@b> (d)", b"a (c) @ (d) b", b"A.B.C <a@b>", b"A. B <a.b.c@d.e>",
    b"<@route,@two:a@b>", b"N <@r:a@b>", b"a@[127.0.0.1]", b"a@[IPv6:::1]", b'"a b"@c', b'"a\\"b"@c', b"group: a@b, c@d;", b"group:;",
    b"a@b, group: c@d;, e@f", b"g1: a@b; g2: c@d;", b"undisclosed-recipients:;", b"group: A <a@b>, (c) d@e;", b"group: a@b", b"a@b;",
    b"a", b"a b c", b"<a>", b"<>", b"A <>", b"@", b"@b", b"a@", b"<a@b", b"a@b>", b"A <a@b", b"A a@b", b"a@b c@d", b"a@b,,c@d", b",a@b,", b",",
    b"", b" ", b"\r\n a@b", b"a@b,\r\n\tc@d,\r\n  e@f", b"A\r\n B\r\n <a@b>", b"=?utf-8?q?caf=C3=A9?= <a@b>", b"=?utf-8?b?w6k=?= =?utf-8?b?w6k=?= <a@b>",
    b'"=?utf-8?q?x?=" <a@b>', b"caf\xc3\xa9 <a@b>", b'"caf\xe9" <a@b>', b"caf\xc3\xa9@b\xc3\xa9", b'"unclosed <a@b>', b"(unclosed a@b", b"A (nested (deep) x) <a@b>",
    b"A <a@b> B <c@d>", b"<a@b> trailing", b"a@b@c", b"a..b@c", b".a@b", b"a.@b", b"a@b.", b"a@.b", b"a @b", b"a@ b", b"a\t@\tb",
    b"A <a @ b . c>", b"a@b.c.d.", b"Mr. J. R. \"Bob\" Dobbs <b@x>", b"'A' <a@b>", b"a!b!c", b"a%b@c", b"<a@b>,<c@d>", b"A <a@b>;C <c@d>",
    b"A:B <a@b>", b"\\A <a@b>", b"A\\ B <a@b>", b'""@b', b'"" <a@b>', b"a@b (x\\)y)", b"A (=?utf-8?q?c?=) <a@b>", b"a@b (\xc3\xa9)",
    b"a@[broken", b"a@b]", b"MAILER-DAEMON", b"a@b (one) (two)", b"(only a comment)", b"A <a@b>, B", b"B, A <a@b>", b"\x01a@b", b"a\x7f@b", b"a@b\t,\tc@d",
]

SUBJECTS = [
    b"", b" ", b" plain", b"no space", b"   three spaces", b"\ttab", b" trailing   ", b" a\r\n b", b" a\r\n\tb\r\n\tc", b"\r\n folded first", b" \r\n  x",
    b" a\r\n  two spaces", b" =?utf-8?q?a?=", b" =?utf-8?q?a?=\r\n =?utf-8?q?b?=", b" =?nosuch?q?a?=", b" =?utf-8?x?a?=", b" caf\xc3\xa9", b" caf\xe9", b' "quoted"',
    b" back\\slash", b' "', b" (x)", b" " + b"long " * 300, b" a\tb", b" \x01\x02", b" \x7f", b" {5}", b" *", b" NIL", b" \xff\xfe", b" a\r\n \r\n b", b" tail\r\n ",
    b": colon", b" %s%n", b" \x1b[31m",
]

FIELDS = [
    b"In-Reply-To: <a@b>", b"In-Reply-To: <a@b> <c@d>", b"In-Reply-To:", b"In-Reply-To: words <a@b>", b"In-Reply-To: \r\n <a@b>", b"Message-ID: no brackets",
    b"Message-ID:<a@b>", b"Message-ID: <a@b>\r\nMessage-ID: <c@d>", b"Message-ID: (c) <a@b> (d)", b"Message-Id: <a\r\n @b>", b"Date: nonsense", b"Date:",
    b"Date: Mon, 1 Jan 2024 00:00:00 +0000", b"Date: 1 Jan 24 00:00 GMT", b"Date: Mon, 1 Jan 2024\r\n 00:00:00 +0000 (UTC)",
    b"Date: Tue, 2 Jan 2024 00:00:00 +0000\r\nDate: Wed, 3 Jan 2024 00:00:00 +0000", b"date: x", b"DATE: Thu, 4 Jan 2024 01:02:03 -0800", b"To: x@y", b"to:z@w",
    b"Subject: second", b"X-Odd : space before the colon", b"Cc : c@d", b"No-Colon", b": no name", b"X-Empty:", b"Received: one\r\nReceived: two", b"X: 1\r\nX: 2",
    b"From: second@from", b"References: <a@b>\r\n <c@d>", b"Content-Type: text/plain", b"Sender: s@s\r\nReply-To: r@r", b"X-8bit: \xe9", b"Su bject: x",
]

TYPES = [
    b"", b" ", b" text", b" text/", b" /plain", b" /", b" text/plain", b" TEXT/PLAIN", b" Text/Plain; Charset=UTF-8", b" text/plain;", b" text/plain;;", b" text/plain; ;",
    b" text/plain; charset", b" text/plain; charset=", b' text/plain; charset=""', b" text/plain; =x", b" text/plain; charset=a b", b" text/plain charset=a",
    b' text/plain; charset="a', b' text/plain; charset="a\\"b"', b" text/plain; charset=a; charset=b", b" text / plain", b" text/plain (comment)", b" (c) text (d) / (e) plain (f); (g) a (h) = (i) b",
    b" text/plain/more", b" plain", b" text;charset=x", b" text/plain, text/html", b" text/html", b" text/x-odd+xml", b" \r\n text/plain", b" text/plain;\r\n\tcharset=x", b" text/plain;\r\n charset=\"x\r\n y\"",
    b" \"text/plain\"", b" text/\"plain\"", b" te\xe9t/plain", b" text/plain; charset=\xe9", b" text/plain; n\xe9me=x", b" text/plain; name=caf\xc3\xa9.txt", b" text/plain; name==?utf-8?q?a?=",
    b" text/plain; name=\"=?utf-8?q?a?=\"", b" multipart", b" multipart/", b" multipart/mixed", b" multipart/mixed; boundary", b" multipart/mixed; boundary=b", b" MULTIPART/MIXED; BOUNDARY=b", b" multipart/mixed boundary=b",
    b" message/rfc822", b" message/", b" message", b" message/global", b" application/octet-stream; x=1; y=2; z=3", b" garbage garbage garbage", b" ;", b" ; charset=x", b" =", b" text/plain\r\nContent-Type: text/html", b" text/html; charset=x\r\nContent-Type:",
    b" image/png; a=\"" + b"v" * 900 + b"\"",
]

PARAMETERS = [
    b"name=a", b"name=\"a b\"", b"name=a b", b"name*=utf-8''caf%C3%A9", b"name*=utf-8'en'caf%C3%A9", b"name*=''x", b"name*=broken", b"name*=utf-8''%", b"name*=utf-8''%4", b"name*=utf-8''%zz", b"name*0=a; name*1=b",
    b"name*0=\"a \"; name*1=\"b\"", b"name*1=b; name*0=a", b"name*0=a; name*2=c", b"name*1=b", b"name*0*=utf-8''a%20; name*1*=b%21", b"name*0*=utf-8''a; name*1=b", b"name*0=a; name*1*=b%20", b"name*0*=utf-8''a%C3; name*1*=%A9",
    b"name*00=a; name*01=b", b"name*x=a", b"name*0=a; name=c", b"name=c; name*0=a", b"name=c; name*=utf-8''d", b"name*=utf-8''d; name=c", b"NAME*0=a; name*1=b", b"name*0*=a", b"a=1; b=2; a=3", b"x=\"\"", b"x=", b"x", b"=x", b"x==y", b"x=y=z", b"x=\"y\"z",
    b"x=y\"z\"", b"x=(c)y", b"x=y(c)", b"x=y (c)", b"x (c)=y", b"x=\"y\\\\z\\\"\"", b"x=\"y\r\n z\"", b"x=y;\r\n\tz=w", b"x=<y>", b"x=a@b",
]

DISPOSITIONS = [
    b"", b" ", b" inline", b" attachment", b" ATTACHMENT", b" x-odd", b" attachment;", b" attachment; filename", b" attachment; filename=", b' attachment; filename="a', b" attachment; filename=a b", b" attachment; filename=a; filename=b",
    b" filename=a", b" \"attachment\"", b" attachment (c); (d) filename=a", b" inline; size=10; creation-date=\"Mon, 1 Jan 2024 00:00:00 +0000\"", b" ; filename=a", b" attachment filename=a", b" =", b"\r\n attachment;\r\n filename=a", b" attachment\r\nContent-Disposition: inline", b" caf\xe9",
]

ENCODINGS = [
    b"", b" ", b" 7bit", b" 7BIT", b" 8bit", b" binary", b" base64", b" Quoted-Printable", b" x-uuencode", b" unheard-of", b" base64;", b" base64 (c)", b" (c) base64", b" \"base64\"", b" base64 x", b" base 64", b" \xe9", b" 7bit\r\nContent-Transfer-Encoding: base64", b"\r\n base64",
    b" 7bit\r\nContent-MD5: abc==", b" 7bit\r\nContent-Language: en", b" 7bit\r\nContent-Language: en, de", b" 7bit\r\nContent-Language: en (c), \"de\"", b" 7bit\r\nContent-Language:", b" 7bit\r\nContent-Location: http://x/\r\n y", b" 7bit\r\nContent-ID: <a@b>",
    b" 7bit\r\nContent-ID: a", b" 7bit\r\nContent-ID: (c) <a@b> (d)", b" 7bit\r\nContent-ID:", b" 7bit\r\nContent-Description: a\r\n b", b" 7bit\r\nContent-Description:", b" 7bit\r\nContent-Description: caf\xc3\xa9 \"q\" \\", b" 7bit\r\nContent-MD5:", b" 7bit\r\nContent-Location:",
    b" 7bit\r\nContent-Language: en de", b" 7bit\r\nContent-Language: ,en,", b" 7bit\r\nContent-MD5: a b (c)",
]

SHAPES = [
    b"\r\n", b"\r\n\r\n", b"\r\nbody", b"\r\nbody\r\n", b"body without a header", b"body without a header\r\n", b"two lines\r\nand no header\r\n", b"From: a@b", b"From: a@b\r\n", b"From: a@b\r\n\r\n", b"From: a@b\r\n\r\nx", b"From: a@b\r\nx\r\n\r\ny",
    b"From a@b Mon Jan  1 00:00:00 2024\r\nFrom: a@b\r\n\r\nbody\r\n", b">From x\r\nFrom: a@b\r\n\r\nbody\r\n", b" leading space\r\nFrom: a@b\r\n\r\nbody\r\n", b"\tX: y\r\nFrom: a@b\r\n\r\nb", b"X:\r\n\r\n", b"X\r\n\r\n", b":\r\n\r\nb", b" \r\nFrom: a@b\r\n\r\nb",
    b"From: a@b\r\n \r\nSubject: behind a line of a space\r\n\r\nb\r\n", b"From: a@b\r\n\t\r\n\r\nb\r\n", b"\r\nFrom: a@b\r\nSubject: x\r\n\r\nb\r\n", b"Subject: " + b"x" * 20000 + b"\r\n\r\nb\r\n", b"X" * 5000 + b": y\r\n\r\nb\r\n", b"Subject: x\r\n\r\n" + b"z" * 70000,
    b"Subject: uu\r\n\r\nbegin 644 a.txt\r\n#86)C\r\n`\r\nend\r\n", b"Subject: binary\r\n\r\n" + bytes(range(1, 10)) + bytes(range(11, 13)) + bytes(range(14, 256)) + b"\r\n", b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n", b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n",
    b"MIME-Version: 2.0\r\nContent-Type: text/html\r\n\r\nb", b"MIME-Version:\r\nContent-Type: text/html\r\n\r\nb", b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b--\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b--\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\r\n--b--\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\r\n--b\r\nX: y\r\n--b--\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n\r\nonly a preamble\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n--b\r\n\r\ninside the header?\r\n--b--\r\n", b"Content-Type: message/rfc822\r\n", b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: message/rfc822\r\n\r\n\r\n",
    b"Content-Type: message/rfc822\r\n\r\nSubject: x", b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n", b"Subject: x\r\nSubject: y\r\n\r\nb\r\n", b"From: a@b\r\nFrom: c@d\r\nTo: e@f\r\nTo: g@h\r\n\r\nb\r\n", b"SUBJECT: case\r\nfrom: a@b\r\nTO: c@d\r\n\r\nb\r\n",
]
