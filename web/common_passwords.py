"""Passwords that everybody tries first, of ten characters or more, and the words they are made of. Checks nothing."""

from __future__ import annotations

_PASSWORDS = """
0000000000 0123456789 01234567890 0987654321 1029384756 1111111111 1122334455 11223344556677
123123123123 1231231234 1234512345 123454321 1234567887654321 1234567890 12345678900 12345678901
123456789012 1234567891 1234567899 123456789a 123456789abc 123456789q 123456789qwe 123456qwerty 12345qwert
12345qwerty 123654789 123qwe123qwe 147258369 1472583690 159753456852 1q2w3e4r5t 1q2w3e4r5t6y 1q2w3e4r5t6y7u
1qaz1qaz1qaz 1qaz2wsx3edc 1qazxsw23edc 2wsx3edc4rfv 741852963 7418529630 789456123 7894561230 852456852456
9876543210 987654321a 9999999999 a123456789 a1b2c3d4e5 a1s2d3f4g5 aa12345678
aa123456789 abc1234567 abc123456789 abcd123456 abcd1234567890 abcdefg123 abcdefghij abcdefghijk abcdefghijkl
admin12345 admin123456 adminadmin administrator asdasdasdasd asdf1234567 asdfasdfasdf asdfghjkl1
asdfghjkl123 asdfghjklqwertyuiop azerty123456 azertyuiop azertyuiopqsdfghjklm baseball12 basketball
beautiful1 bismillah1 blink182182 butterfly1 caterpillar changeme12 changeme123 changemenow charlie123
chocolate1 christopher computer12 computer123 correcthorsebatterystaple dermatologist dermatology
dermatoscope dermatrace dermatrace1 dermatrace123 dermoscopy1 elizabeth1 everything fernandez1 football12
football123 forever123 freedom123 fuckyou123 fuckyoufuckyou gfhjkmgfhjkm girlfriend
godisgood1 handball12 helloworld helloworld1 helloworld123 hospital12 hospital123 ilovemyself iloveyou12
iloveyou123 iloveyou1234 iloveyouforever internet12 internet123 jesus12345 jesuschrist katherine1
letmein1234 letmein12345 letmeinnow liverpool1 liverpool123 macintosh1 manchester manchester1
manchesterunited master12345 medical123 melanoma12 melanoma123 michelle12 microsoft1 minecraft1 minecraft123
monkey12345 mypassword mypassword1 mypassword123 nopassword nothing123 p@ssw0rd123 p@ssw0rd1234 p@ssword123
pa55word123 pass123456 pass1234567 passpass12 passpasspass passw0rd12 passw0rd123 passw0rd1234 password!1
password00 password01 password1! password10 password11 password12 password123 password1234 password12345
password123456 password21 password22 password77 password99 passwordpassword patient123 playstation
playstation2 pokemon123 princess12 princess123 q1w2e3r4t5 q1w2e3r4t5y6 qazwsx123456 qazwsxedc1 qazwsxedc123
qazwsxedcrfv qqqqqqqqqq qwe123qwe123 qweasdzxc1 qweasdzxc123 qweqweqweqwe qwer12345 qwer1234qwer qwert12345
qwerty1234 qwerty12345 qwerty123456 qwerty1234567 qwerty12345678 qwertyqwerty qwertyui12 qwertyuiop
qwertyuiop1 qwertyuiop12 qwertyuiop123 qwertyuiop1234567890 qwertyuiopasdfghjkl rockandroll samsung123
secret1234 secret12345 skincancer skincancer1 skinlesion slipknot666 snowboarding spiderman1 spongebob1
starwars12 starwars123 strawberry strawberry1 summer2023 summer2024 summer2025 summer2026 sunshine12
sunshine123 superman12 superman123 superstar1 sweetheart sweetheart1 test123456 test1234567 testing123
testing1234 testtest12 testtesttest thankyou12 thisismypassword tinkerbell trustno1trustno1 unbelievable
univers1ty valentine1 vkontakte1 volleyball welcome123 welcome1234 welcome12345 welcome2023 welcome2024
welcome2025 welcome2026 whatever12 whatever123 winter2023 winter2024 winter2025 winter2026 wordpass123
xxxxxxxxxx yourmother zaq12wsxcde3 zaq1xsw2cde3 zxcvbnm123 zxcvbnm1234 zxcvbnm12345 zxcvbnmasdf
zxcvbnmzxcvbnm zzzzzzzzzz
"""
_WORDS = """
abc abcd abcde abcdef admin administrator asdf asdfgh asdfghjkl azerty changeme clinic
derm dermatrace doctor football hello hospital iloveyou letmein login master medical melanoma
monkey passwd password passwort patient princess qazwsx qwer qwert qwerty qwertyuiop qwertz root secret skin
sunshine superman test user welcome zxcvbn zxcvbnm
"""

COMMON_PASSWORDS = frozenset(_PASSWORDS.split())
"""In lower case."""
COMMON_WORDS = frozenset(_WORDS.split())
"""A password that is only one of these with digits and signs around it is as weak as the word."""
