/// Passwords that whoever guesses tries first.
///
/// A short list of our own making: the well-known ones of eight characters and more, which is what registration takes.
/// Besides, what is one character over and over, a run along the alphabet, the digits or the keyboard, and the name that
/// the person signs in with.
///
/// - Source: NIST SP 800-63B, section 5.1.1.2, "compare the prospective secrets against a list".
enum CommonPasswords {
    static func contains(_ password: String, of userID: String) -> Bool {
        let lower = password.lowercased()
        if lower == userID.lowercased() || list.contains(lower) { return true }
        if Set(lower).count == 1 { return true }
        return runs.contains { $0.contains(lower) || String($0.reversed()).contains(lower) }
    }

    /// Twice over, so that a run may go on from the start: `567890123`.
    private static let runs = [
        "abcdefghijklmnopqrstuvwxyz", "0123456789", "1234567890", "qwertyuiopasdfghjklzxcvbnm", "qwertyuiop",
        "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "q1w2e3r4t5y6u7i8o9p0",
        "1q2w3e4r5t6y7u8i9o0p",
    ].map { $0 + $0 }

    private static let list: Set<String> = Set(
        """
        password password1 password2 password12 password123 password1234 password12345 password! password1! password123!
        passw0rd passw0rd1 p@ssword p@ssw0rd p@ssword1 p@ssw0rd1 p@ssw0rd123 pa55word pa$$word pa$$w0rd passwort passwort1
        mypassword yourpassword thepassword nopassword newpassword oldpassword changeme changeme1 changeme123 changeit
        change-me letmein1 letmein! letmein123 letmeinnow welcome1 welcome12 welcome123 welcome1! welcome123! admin123
        admin1234 admin12345 admin123! administrator administrator1 adminadmin rootroot toor1234 root1234 superuser superadmin
        test1234 test12345 testtest testing1 testing123 tester123 guest123 guest1234 guestguest user1234 useruser default1
        qwerty12 qwerty123 qwerty1234 qwerty12345 qwerty123456 qwerty1! qwertyqwerty qwerty11 qwert1234 asdf1234 asdfasdf
        asdfghjkl1 zxcvbnm1 zxcvbnm123 zaq12wsx zaq1zaq1 1qazxsw2 1qaz2wsx! qazwsxedc qazwsx123 qweasdzxc qweasd123 abcd1234
        abcd12345 abc12345 abc123456 abc123abc abcabc123 a1b2c3d4 a1b2c3d4e5 aa123456 aa12345678 a123456789 a12345678 a1234567
        q1w2e3r4 1q2w3e4r 1a2b3c4d 123abc123 123qweasd 123qwe123 qwe12345 123123123 12341234 11223344 1122334455 112233445566
        12121212 10203040 13131313 123321123 12344321 123454321 1234554321 123456780 1234567891 12345678910 123456789a 12345678a
        123456abc 1234qwer 1234abcd 147258369 159357159 159753456 987654321 98765432 87654321 00000000 99999999 19841984 20202020
        20002000 iloveyou iloveyou1 iloveyou2 iloveyou! iloveyou123 iloveme1 iloveu123 loveyou1 lovelove loveme123 myloveyou
        princess princess1 princess123 sunshine sunshine1 sunshine123 football football1 football12 football123 baseball baseball1
        baseball123 basketball basketball1 softball1 soccer12 soccer123 hockey123 superman superman1 superman123 batman123 spiderman
        spiderman1 starwars starwars1 starwars123 pokemon1 pokemon123 nintendo minecraft minecraft1 fortnite1 playstation michael1
        michael123 michelle michelle1 jennifer jennifer1 jessica1 jessica123 charlie1 charlie123 jordan23 jordan123 ashley123 daniel123
        matthew1 anthony1 nicholas nicholas1 alexander alexandra samantha samantha1 victoria victoria1 elizabeth elizabeth1 christian
        christopher benjamin jonathan patricia barbara1 veronica caroline chocolate chocolate1 butterfly butterfly1 computer computer1
        internet internet1 keyboard samsung1 samsung123 google123 facebook facebook1 linkedin whatever whatever1 trustno1 trustme1
        dragon123 master123 monkey123 shadow123 killer123 hunter123 secret12 secret123 secret1234 secretsecret topsecret mustang1
        corvette mercedes mercedes1 ferrari1 porsche1 harley123 liverpool liverpool1 arsenal1 chelsea1 manchester barcelona realmadrid
        juventus steelers cowboys1 yankees1 redsox123 lakers24 blink182 metallica slipknot greenday summer12 summer123 summer2020
        summer2021 summer2022 summer2023 summer2024 summer2025 winter12 winter123 winter2020 winter2021 winter2022 winter2023 winter2024
        spring123 spring2024 autumn123 january1 february september november1 december december1 midnight moonlight sunflower lavender
        precious blessed1 jesuschrist jesus123 godisgood ihateyou fuckyou1 fuckyou123 asshole1 babygirl babygirl1 babyboy1 angel123
        prince123 friends1 friendship family123 forever1 forever21 together daddysgirl mommy123 iloveme123 hello123 hello1234 hello12345
        hellohello helloworld goodbye1 access14 access123 login123 loginlogin login1234 temp1234 temporary temppass demo1234 demodemo
        example1 sample123 public123 private1 security security1 server123 oracle123 cisco123 ubuntu123 debian123 raspberry passpass
        pass1234 pass12345 pass123456 pass@123 pass@1234 admin@123 root@123 test@123 welcome@123 abc@1234 qwerty@123 user@123 p@55w0rd
        aaaa1111 aaa11111 1111aaaa abcdabcd abcdefg1 abcdef123 abcdefgh1 zzzzzzzz1 monkeymonkey dragondragon ticket123 tickets1 holdfast
        holdfast1 holdfast123
        """.split(whereSeparator: \.isWhitespace).map(String.init)
    )
}
