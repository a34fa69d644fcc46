"""Every error that the project raises on purpose.

EdgeError
├── SettingsError            the command line asks for something that cannot be
├── ImageError               an upload that gives no picture
│   ├── MissingImage         no file came, or an empty one
│   ├── ImageTooLarge        more bytes or pixels than the limit
│   ├── UnsupportedImage     a format that is not read
│   │   ├── SeveralPictures      a file with more than one picture
│   │   ├── ColourImage          colour where an X-ray is grey
│   │   ├── DicomDirectory       a disc's table of contents
│   │   └── UnsupportedEncoding  an encoding within a known format that is not read
│   ├── NotAnXray            a whole picture, or a DICOM file, of something else
│   └── InvalidImage         a known format whose content is broken or incomplete
│       ├── ImageTooSmall        fewer pixels than any X-ray has
│       └── TagError             a DICOM file whose header cannot be relied on
│           ├── MissingTag           it lacks what is needed
│           └── ContradictoryTag     it says what cannot be, or two things at once
├── DecoderError             the process that reads pictures cannot run
├── BundleError              a model bundle that must not be used
├── DeviceError              the device that was asked for cannot be used
├── ModelError               the model gave no usable answer
├── TooManyViews             more pictures in one request than any study has
├── ResultExpired            a result that is no longer held
├── RequestRefused           a caller that may not call
├── PasswordRefused          a caller without the password, where one is asked for
├── TooManyGuesses           a caller who guesses at the password
├── TooSlow                  a request that did not come within its time
├── Busy                     more work at once than this computer can take
├── ArrivalRefused           a picture that came over DICOM and is not taken
│   ├── DuplicateInstance        another picture came under its identifier before
│   ├── OtherPatient             its study holds another patient's pictures
│   ├── MislabelledInstance      it is not what its sender announced
│   └── NoRoom                   too many pictures wait already
├── PeerError                another DICOM node that does not answer, or refuses
├── DataError                training data that fits no known layout or cannot be split
├── WeightsError             pretrained weights that are missing or not the expected ones
├── RunError                 a run directory that is unfinished or does not fit
├── ExportError              a model that cannot be exported exactly
└── InstallError             an installer that cannot be built, or an installation that cannot go on
    ├── DamagedFiles         a file on the stick or on the PC is not the one that was released
    ├── UnfitComputer        the PC lacks what the app needs
    ├── NotCertified         the app does not give its known answers on this PC
    ├── ReleaseRefused       an older release, or one that is not signed as this PC asks
    └── NotWritable          no right to write, or no space

A message says what was expected, what came, and what the reader can do. `code` is stable: programs
may rely on it.
"""

TOO_LARGE = "The upload is larger than any X-ray picture should be. Export it again, at a smaller size."


class EdgeError(Exception):
    """Base of all errors that carry a message for a person."""

    code = "error"


class SettingsError(EdgeError):
    """A setting is out of range or contradicts another."""

    code = "settings"


class ImageError(EdgeError):
    """An upload gives no picture."""

    code = "image"


class MissingImage(ImageError):
    """No file came, or it has no bytes."""

    code = "missing_image"


class ImageTooLarge(ImageError):
    """The upload has more bytes or pixels than the limit."""

    code = "image_too_large"


class UnsupportedImage(ImageError):
    """The bytes are not in a format that is read."""

    code = "unsupported_image"


class InvalidImage(ImageError):
    """The format is known, but the content is broken, incomplete or too small."""

    code = "invalid_image"


class NotAnXray(ImageError):
    """The picture is whole, but certainly no X-ray; or a DICOM file of another kind."""

    code = "not_an_xray"


class SeveralPictures(UnsupportedImage):
    """A file holds more than one picture: frames, pages, or an animation."""

    code = "several_pictures"


class ColourImage(UnsupportedImage):
    """A picture has colour that would be lost or misread."""

    code = "colour_image"


class DicomDirectory(UnsupportedImage):
    """A DICOMDIR came; the pictures are the other files of its disc."""

    code = "dicom_directory"


class UnsupportedEncoding(UnsupportedImage):
    """The format is read, but not in this encoding."""

    code = "unsupported_encoding"


class ImageTooSmall(InvalidImage):
    """A side has fewer pixels than any X-ray has."""

    code = "image_too_small"


class TagError(InvalidImage):
    """A DICOM header cannot be relied on.

    `tag` names the attribute, as "(0028,0010) Rows".
    """

    code = "tag"

    def __init__(self, message: str, tag: str = "") -> None:
        super().__init__(message)
        self.tag = tag


class MissingTag(TagError):
    """A DICOM header lacks what is needed."""

    code = "missing_tag"


class ContradictoryTag(TagError):
    """A DICOM header says what cannot be, or two things at once."""

    code = "contradictory_tag"


class DecoderError(EdgeError):
    """The process that reads pictures cannot be started."""

    code = "decoder"


class BundleError(EdgeError):
    """A model bundle is incomplete, altered or of an unknown kind."""

    code = "bundle"


class DeviceError(EdgeError):
    """The device that was asked for cannot be used."""

    code = "device"


class ModelError(EdgeError):
    """The model gave something that is no answer."""

    code = "model"


class TooManyViews(EdgeError):
    """A request is about more pictures than any study has."""

    code = "too_many_views"


class ResultExpired(EdgeError):
    """A result was asked for that is no longer held in memory."""

    code = "result_expired"


class RequestRefused(EdgeError):
    """The request comes from a host or a web page that may not call."""

    code = "request_refused"


class PasswordRefused(EdgeError):
    """The request brings no password, or a wrong one, where one is asked for."""

    code = "password_refused"


class TryLater(EdgeError):
    """The same request may pass later.

    Args:
        message: What the reader can do.
        retry_after_s: When to try again, in seconds.
    """

    code = "try_later"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyGuesses(TryLater):
    """Too many wrong passwords came from one address."""

    code = "too_many_guesses"


class TooSlow(EdgeError):
    """A request did not come within its time."""

    code = "too_slow"


class Busy(TryLater):
    """More is asked at once than this computer can take."""

    code = "busy"


class ArrivalRefused(EdgeError):
    """A picture that came over DICOM is not taken."""

    code = "arrival"


class DuplicateInstance(ArrivalRefused):
    """A picture has the identifier of another that came before."""

    code = "duplicate_instance"


class OtherPatient(ArrivalRefused):
    """A picture names a study in which another patient's pictures stand."""

    code = "other_patient"


class MislabelledInstance(ArrivalRefused):
    """A data set is not the one that its sender announced."""

    code = "mislabelled_instance"


class NoRoom(ArrivalRefused):
    """The pictures that wait take all the memory that they may."""

    code = "no_room"


class PeerError(EdgeError):
    """Another DICOM node does not answer, or refuses.

    Args:
        message: What the reader can do.
        reason: A stable word for why; see `edge_app.dicom_node.peers.REASONS`.
    """

    code = "peer"

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class DataError(EdgeError):
    """Training data fit no known layout, or cannot be split as asked."""

    code = "data"


class WeightsError(EdgeError):
    """Pretrained weights are missing or are not the expected ones."""

    code = "weights"


class RunError(EdgeError):
    """A run directory is unfinished, or belongs to another configuration."""

    code = "run"


class ExportError(EdgeError):
    """A model cannot be exported so that ONNX Runtime agrees with Keras."""

    code = "export"


class InstallError(EdgeError):
    """An installer cannot be built, or an installation cannot go on."""

    code = "install"


class DamagedFiles(InstallError):
    """A file is missing, was altered, or is not part of the release."""

    code = "damaged"


class UnfitComputer(InstallError):
    """The computer lacks what the app needs."""

    code = "unfit_computer"


class NotCertified(InstallError):
    """The app does not give its known answers on this computer."""

    code = "not_certified"


class ReleaseRefused(InstallError):
    """A release is older than the installed one, or not signed with the key that is asked for."""

    code = "release_refused"


class NotWritable(InstallError):
    """A place cannot be written: no right, or no space."""

    code = "not_writable"
